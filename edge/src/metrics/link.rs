//! Creates and sets the metrics of the serial link and the PLC.

use super::make::{Family, Follower, counter, follower, followers, gauge};
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::session::refused::{REASONS, Refused};
use prometheus::{IntCounter, IntGauge, Registry, Result};

/// The counts of the link and of the session with the PLC, for both profiles. A count that is smaller than when it was last
/// read has started again at zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkCounts {
    /// Valid frames received.
    pub frames: u32,
    /// Native: invalid frames between two delimiters. Modbus: requests found after noise.
    pub resyncs: u32,
    /// Modbus: frames of a known length with a wrong CRC.
    pub bad_crc: u32,
    /// Modbus: bytes outside frames.
    pub bytes_dropped: u32,
    /// Native: valid frames that were not used. Such a frame is of another link or boot epoch, is not newer than the last one, or
    /// has an `ack` for a frame that was never sent.
    pub dropped: u32,
    /// Native: messages of a PLC with another version or schema of the protocol.
    pub incompatible: u32,
    /// Modbus: requests answered with an exception.
    pub exceptions: u32,
    /// Acknowledgements of the sent verdict, but with another part number or verdict code.
    pub bad_acks: u32,
    /// NAKs by their reason: refused triggers, and verdicts that could not be stored.
    pub refused: Refused,
    /// The heartbeat counter sent to the PLC.
    pub heartbeat: u32,
}

/// Why a received message was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Crc,
    Dropped,
    Incompatible,
    Exception,
    Acknowledgement,
}

/// The metrics of the serial link and the PLC.
#[derive(Debug)]
pub struct LinkFigures {
    open: IntGauge,
    openings: IntCounter,
    losses: IntCounter,
    frames: Follower,
    resyncs: Follower,
    bytes_dropped: Follower,
    errors: Family<Fault, Follower>,
    refused: Family<ReasonCode, Follower>,
    heartbeats: Follower,
    plc_connected: IntGauge,
    plc_silences: IntCounter,
}

impl LinkFigures {
    pub(super) fn new(registry: &Registry) -> Result<Self> {
        Ok(Self {
            open: gauge(registry, "cellgate_link_open", "Whether the serial port is open: 0 or 1.")?,
            openings: counter(registry, "cellgate_link_openings_total", "Times that the serial port was opened.")?,
            losses: counter(registry, "cellgate_link_losses_total", "Times that the open serial port was lost.")?,
            frames: follower(registry, "cellgate_link_frames_total", "Valid frames received.")?,
            resyncs: follower(
                registry,
                "cellgate_link_resyncs_total",
                "Native: invalid frames between two delimiters, wrong CRC included. Modbus: requests found after noise.",
            )?,
            bytes_dropped: follower(registry, "cellgate_link_dropped_bytes_total", "Bytes outside frames (Modbus).")?,
            errors: followers(
                registry,
                "cellgate_link_errors_total",
                "crc: wrong CRC (Modbus); dropped: frame of another link or repeated; incompatible: another protocol version \
                 (native); exception: request answered with an exception (Modbus); acknowledgement: of another part or code.",
                "kind",
                [
                    (Fault::Crc, ["crc"]),
                    (Fault::Dropped, ["dropped"]),
                    (Fault::Incompatible, ["incompatible"]),
                    (Fault::Exception, ["exception"]),
                    (Fault::Acknowledgement, ["acknowledgement"]),
                ],
            )?,
            refused: followers(
                registry,
                "cellgate_triggers_refused_total",
                "Triggers that were refused (NAK), including those whose verdict could not be stored.",
                "reason",
                REASONS.into_iter().filter_map(|reason| Some((reason, [reason.name()?]))),
            )?,
            heartbeats: follower(
                registry,
                "cellgate_heartbeats_total",
                "Increments of the heartbeat sent to the PLC: 10 a second while every worker that a PASS needs is alive.",
            )?,
            plc_connected: gauge(
                registry,
                "cellgate_plc_connected",
                "Whether the PLC is connected and not silent: 0 or 1.",
            )?,
            plc_silences: counter(registry, "cellgate_plc_silences_total", "Times that the PLC fell silent.")?,
        })
    }

    /// Notes that the serial port was opened.
    pub fn opened(&self) {
        self.open.set(1);
        self.openings.inc();
    }

    /// Notes that the serial port was lost.
    pub fn lost(&self) {
        self.open.set(0);
        self.losses.inc();
    }

    /// Notes that the PLC is connected.
    pub fn plc_is_back(&self) {
        self.plc_connected.set(1);
    }

    /// Notes that the PLC fell silent.
    pub fn plc_is_silent(&self) {
        self.plc_connected.set(0);
        self.plc_silences.inc();
    }

    /// Takes over the current counts of link and session.
    pub fn set(&self, counts: &LinkCounts) {
        self.frames.follow(counts.frames.into());
        self.resyncs.follow(counts.resyncs.into());
        self.bytes_dropped.follow(counts.bytes_dropped.into());
        self.heartbeats.follow(counts.heartbeat.into());
        for (fault, count) in [
            (Fault::Crc, counts.bad_crc),
            (Fault::Dropped, counts.dropped),
            (Fault::Incompatible, counts.incompatible),
            (Fault::Exception, counts.exceptions),
            (Fault::Acknowledgement, counts.bad_acks),
        ] {
            if let Some(figure) = self.errors.get(&fault) {
                figure.follow(count.into());
            }
        }
        for (reason, count) in counts.refused.iter() {
            if let Some(figure) = self.refused.get(&reason) {
                figure.follow(count.into());
            }
        }
    }
}
