//! Tests which frames of a native link a device accepts.

use crate::support::{healthy, ready_session, ready_session_of};
use cellgate_protocol::{
    fault::FaultCode,
    frame::{self, Header},
    limits::MAX_FRAME,
    link::{Output, device::DeviceLink},
    to_device::{Hello, PlcHeartbeat, ToDevice, TriggerRequest},
    to_plc::ToPlc,
    version::Schema,
};

pub(super) fn feed(link: &mut DeviceLink, header: Header, message: ToDevice) {
    let mut out = [0; MAX_FRAME];
    link.feed(0, frame::encode(&header, &message, &mut out).expect("a message fits"));
}

/// The messages that the device sends now, without heartbeats.
pub(super) fn sent_by(link: &mut DeviceLink) -> Vec<(Header, ToPlc)> {
    let mut all = Vec::new();
    let mut out = [0; MAX_FRAME];
    while let Some(output) = link.poll(0, healthy(0).as_ref(), &mut out) {
        if let Output::Bytes([0, stuffed @ .., 0]) = output {
            all.push(frame::decode(stuffed).expect("the device sends valid frames"));
        }
    }
    all.retain(|(_, message)| !matches!(message, ToPlc::Heartbeat(_) | ToPlc::BundleHeartbeat(_)));
    all
}

/// The device's next heartbeat at this time.
pub(super) fn heartbeat(link: &mut DeviceLink, now_ms: u64) -> ToPlc {
    let mut out = [0; MAX_FRAME];
    loop {
        let output = link.poll(now_ms, healthy(now_ms).as_ref(), &mut out).expect("a heartbeat is due");
        if let Output::Bytes([0, stuffed @ .., 0]) = output {
            let (_, message) = frame::decode::<ToPlc>(stuffed).expect("the device sends valid frames");
            if matches!(message, ToPlc::Heartbeat(_) | ToPlc::BundleHeartbeat(_)) {
                return message;
            }
        }
    }
}

pub(super) fn hello(schema: u32) -> ToDevice {
    ToDevice::Hello(Hello { schema, plc: 0 })
}

pub(super) fn header(link_id: u32, seq: u32) -> Header {
    Header { link_id, boot_epoch: 3, seq, ack: 0 }
}

#[test]
fn a_device_opens_links_up_to_its_highest_schema() {
    for (highest, schema, opens) in
        [(Schema::One, 1, true), (Schema::One, 2, false), (Schema::Two, 1, true), (Schema::Two, 2, true)]
    {
        let mut link = DeviceLink::new(ready_session_of(highest, 0));
        feed(&mut link, header(9, 1), hello(schema));
        let sent = sent_by(&mut link);
        assert_eq!(link.is_open(), opens, "{highest:?}, {schema}");
        match sent[..] {
            [(_, ToPlc::HelloAck(answer))] => assert!(opens && answer.schema == schema),
            [(_, ToPlc::Error(error))] => {
                assert!(!opens && error.fault == FaultCode::INCOMPATIBLE && error.schema == highest.number());
            }
            _ => panic!("{sent:?}"),
        }
    }
}

#[test]
fn an_unknown_schema_opens_no_link_and_gets_one_error() {
    for unknown in [0, 3, u32::MAX] {
        let mut link = DeviceLink::new(ready_session(0));
        feed(&mut link, header(9, 1), hello(unknown));
        feed(&mut link, header(9, 2), hello(unknown));
        let sent = sent_by(&mut link);
        assert!(matches!(sent[..], [(_, ToPlc::Error(error))] if error.fault == FaultCode::INCOMPATIBLE), "{sent:?}");
        assert!(!link.is_open());
    }
}

#[test]
fn a_repeated_hello_keeps_the_link_and_another_schema_of_the_same_link_closes_it() {
    let mut link = DeviceLink::new(ready_session(0));
    feed(&mut link, header(9, 1), hello(2));
    feed(&mut link, header(9, 2), hello(2));
    assert_eq!((sent_by(&mut link).len(), link.counters().links), (2, 1));
    feed(&mut link, header(9, 3), hello(1));
    assert!(matches!(sent_by(&mut link)[..], [(_, ToPlc::Error(error))] if error.fault == FaultCode::INCOMPATIBLE));
    assert!(!link.is_open());
    feed(&mut link, header(10, 4), hello(1));
    assert!(matches!(sent_by(&mut link)[..], [(_, ToPlc::HelloAck(answer))] if answer.schema == 1));
}

#[test]
fn a_trigger_of_another_link_or_an_earlier_start_is_not_judged() {
    let mut link = DeviceLink::new(ready_session(0));
    feed(&mut link, header(9, 1), hello(1));
    assert!(matches!(sent_by(&mut link)[..], [(_, ToPlc::HelloAck(_))]) && link.is_open());
    let trigger = ToDevice::Trigger(TriggerRequest { part_id: 1, nonce: 1, deadline_ms: 100 });
    for foreign in [header(8, 2), Header { boot_epoch: 2, ..header(9, 2) }] {
        feed(&mut link, foreign, trigger);
        let sent = sent_by(&mut link);
        assert!(matches!(sent[..], [(header, ToPlc::Error(error))]
            if error.fault == FaultCode::UNKNOWN_LINK && header.link_id == foreign.link_id));
    }
    assert_eq!(link.counters().dropped, 2);
    assert!(link.session().snapshot(0, None).part.is_none());
}

#[test]
fn old_frames_and_acks_of_unsent_frames_are_dropped() {
    let mut link = DeviceLink::new(ready_session(0));
    // After u32::MAX the count of frames wraps to 0.
    feed(&mut link, header(9, u32::MAX), hello(1));
    sent_by(&mut link);
    let heartbeat = ToDevice::Heartbeat(PlcHeartbeat { counter: 1, status: Default::default() });
    feed(&mut link, header(9, u32::MAX), heartbeat);
    feed(&mut link, header(9, u32::MAX - 5), heartbeat);
    feed(&mut link, Header { ack: 1_000, ..header(9, 0) }, heartbeat);
    assert_eq!(link.counters().dropped, 3);
    feed(&mut link, header(9, 0), heartbeat);
    assert_eq!(link.counters().dropped, 3);
}
