//! Checks that the gate in structured text and the gate in Rust decide alike. `tests/oracle/gate_st.py` runs the structured text.

use cellgate_protocol::code::{VerdictCode, WireVerdict};
use cellgate_protocol::digest::DigestStart;
use cellgate_protocol::gate::{Claim, GateDecision, Known, judge};
use cellgate_protocol::limits::DEVICE_STALE_MS;
use cellgate_protocol::reason::ReasonCode;
use cellgate_protocol::session::plc::PartEnd;
use cellgate_protocol::to_plc::Flags;
use serde_json::{Value, json};
use std::io::Write as _;

/// The outputs of the structured text for each case.
fn run(cases: &[Value]) -> anyhow::Result<Vec<Value>> {
    let mut file = tempfile::NamedTempFile::new()?;
    cases.iter().try_for_each(|case| writeln!(file, "{case}"))?;
    let gate = cellgate_test_support::root().join("protocol/gate.st");
    let said = cellgate_test_support::oracle("gate_st.py", &[&gate.to_string_lossy(), &file.path().to_string_lossy()])?;
    let outputs: Vec<Value> = said.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(outputs.len(), cases.len());
    Ok(outputs)
}

/// Pseudorandom numbers, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    /// A random element, the first one more often than the others.
    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        if self.below(4) == 0 { all[self.below(all.len() as u64) as usize] } else { all[0] }
    }
}

#[test]
fn both_gates_decide_alike() -> anyhow::Result<()> {
    let mut numbers = Numbers(1);
    let (mut cases, mut expected, mut passed) = (Vec::new(), Vec::new(), 0);
    let models = [[1; 8], [2; 8], [0; 8]].map(DigestStart);
    for _ in 0..5_000 {
        // The last code differs from PASS in one bit.
        let codes =
            [VerdictCode::PASS, VerdictCode::REVIEW, VerdictCode::REJECT, VerdictCode(0), VerdictCode(0x5AC3_96E0)];
        let claim = Claim {
            crc_right: numbers.one_of(&[true, false]),
            complement_right: numbers.one_of(&[true, false]),
            part_id: numbers.one_of(&[7, 8, u64::MAX]),
            nonce: numbers.one_of(&[1, 2]),
            code: numbers.one_of(&codes),
            reason: ReasonCode(numbers.below(0x300) as u16),
            age_ms: numbers.one_of(&[500, 0, 499, 501, u32::MAX]),
            model: numbers.one_of(&models),
            flags: Flags(numbers.one_of(&[0, 1, 2, 3, 4, 0x8000])),
        };
        let allowed: Vec<DigestStart> = (0..numbers.below(4)).map(|_| numbers.one_of(&models)).collect();
        let known = Known {
            part_id: 7,
            nonce: 1,
            deadline_ms: 500,
            elapsed_ms: numbers.one_of(&[500, 0, 501]),
            heartbeat_age_ms: numbers.one_of(&[0, DEVICE_STALE_MS, DEVICE_STALE_MS + 1, u64::MAX]),
            allowed_models: &allowed,
        };
        let number = |model: DigestStart| u64::from_be_bytes(model.0);
        let mut list: Vec<u64> = allowed.iter().copied().map(number).collect();
        list.resize(8, 0);
        // A count that is too high only adds entries that were never set.
        let count = allowed.len() as u64 + numbers.below(3);
        cases.push(json!({
            "block": "CELLGATE_GATE", "CRC_RIGHT": claim.crc_right, "PART_ID": claim.part_id, "NONCE": claim.nonce,
            "CODE": claim.code.0, "COMPLEMENT_RIGHT": claim.complement_right, "REASON": claim.reason.0,
            "AGE_MS": claim.age_ms, "MODEL": number(claim.model), "FLAGS": claim.flags.0,
            "CURRENT_PART_ID": known.part_id, "CURRENT_NONCE": known.nonce, "DEADLINE_MS": known.deadline_ms,
            "ELAPSED_MS": known.elapsed_ms, "HEARTBEAT_FRESH": known.heartbeat_age_ms <= DEVICE_STALE_MS,
            "ALLOWED": list, "ALLOWED_COUNT": count,
        }));
        let decision = judge(&claim, &known);
        // The reason that the acknowledgement carries.
        let (part_id, nonce, elapsed_ms) = (known.part_id, known.nonce, known.elapsed_ms);
        let (claim, verdict_seq, boot_epoch) = (Some(claim), Some(1), None);
        let reason = PartEnd { part_id, nonce, decision, claim, verdict_seq, boot_epoch, elapsed_ms }.reason();
        passed += u64::from(decision.is_pass());
        let is_review = matches!(decision, GateDecision::Review(_));
        expected
            .push(json!({"PASS": u8::from(decision.is_pass()), "REVIEW": u8::from(is_review), "OUT_REASON": reason.0}));
    }
    for ((case, found), expected) in cases.iter().zip(run(&cases)?).zip(expected) {
        assert_eq!(found, expected, "{case}");
    }
    assert!(passed > 50, "{passed}: hardly a case passes");
    Ok(())
}

#[test]
fn codes_and_flags_of_registers_are_those_of_frames() -> anyhow::Result<()> {
    let code = |register: u16| json!({"block": "CELLGATE_CODE", "REGISTER": register});
    let outputs = run(&(0..=u16::MAX).map(code).collect::<Vec<_>>())?;
    for (register, output) in (0..=u16::MAX).zip(outputs) {
        let verdict =
            [WireVerdict::Pass, WireVerdict::Review].into_iter().find(|verdict| verdict.register() == register);
        let expected = verdict.unwrap_or(WireVerdict::Reject).code().0;
        assert_eq!(output["CELLGATE_CODE"], expected, "{register:#06x}");
    }
    // All combinations of the bits that have a meaning and of two bits that have none.
    const STATUSES: std::ops::RangeInclusive<u16> = 0..=0x3ff;
    let flags = |status: u16| json!({"block": "CELLGATE_FLAGS", "STATUS": status});
    let outputs = run(&STATUSES.map(flags).collect::<Vec<_>>())?;
    for (status, output) in STATUSES.zip(outputs) {
        let (simulated, degraded) = (status & 0x80 != 0, status & 0xff20 != 0);
        assert_eq!(output["CELLGATE_FLAGS"], u16::from(simulated) | u16::from(degraded) << 1, "{status:#06x}");
    }
    Ok(())
}

/// The PLC receives the heartbeat from 20 ms on. The heartbeat changes at 100 ms and then stays the same. A scan takes 10 ms.
#[test]
fn a_heartbeat_is_fresh_from_its_first_change_for_300_ms_and_at_most_two_scans() -> anyhow::Result<()> {
    let scan = |now_ms: u64| {
        let counter = if now_ms < 100 { 5 } else { 6 };
        json!({"block": "CELLGATE_HEARTBEAT", "COUNTER": counter, "RECEIVED": now_ms >= 20, "now_ms": now_ms})
    };
    let times: Vec<u64> = (0..100).map(|scan| 10 * scan).collect();
    for (now_ms, output) in times.iter().zip(run(&times.iter().copied().map(scan).collect::<Vec<_>>())?) {
        let fresh = output["FRESH"] == 1;
        match now_ms.checked_sub(100) {
            None => assert!(!fresh, "{now_ms} ms: the heartbeat has not changed yet"),
            Some(age_ms) if age_ms <= DEVICE_STALE_MS => assert!(fresh, "{age_ms} ms old"),
            Some(age_ms) if age_ms > DEVICE_STALE_MS + 20 => assert!(!fresh, "{age_ms} ms old"),
            Some(_) => {}
        }
    }
    Ok(())
}

/// The inputs START, SENT, RESULT and RESULT_SEQUENCE of each scan for sequence 7, and the outputs WRITE, DONE and REFUSED.
#[test]
fn a_confirmation_is_written_until_the_registers_show_its_answer() -> anyhow::Result<()> {
    let scans: [([u32; 4], [u8; 3]); 13] = [
        ([0, 0, 1, 7], [0, 0, 0]),
        // The registers still show an answer of an earlier confirmation with this sequence.
        ([1, 0, 2, 7], [1, 0, 0]),
        ([1, 0, 2, 7], [1, 0, 0]),
        // A write was answered; the device is storing the confirmation; then the answer is there.
        ([0, 1, 0, 7], [1, 0, 0]),
        ([0, 0, 1, 6], [1, 0, 0]),
        ([0, 0, 1, 7], [0, 1, 0]),
        ([0, 0, 2, 7], [0, 1, 0]),
        // Start stays set: it confirms once.
        ([1, 0, 1, 7], [1, 0, 0]),
        ([1, 1, 3, 7], [0, 0, 1]),
        ([1, 1, 1, 7], [0, 0, 1]),
        ([0, 1, 1, 7], [0, 0, 1]),
        ([1, 0, 0, 0], [1, 0, 0]),
        // An unknown answer is a refusal.
        ([0, 1, 9, 7], [0, 0, 1]),
    ];
    let cases: Vec<Value> = scans
        .iter()
        .map(|([start, sent, result, sequence], _)| {
            json!({
                "block": "CELLGATE_CONFIRM", "START": *start == 1, "SEQUENCE": 7, "SENT": *sent == 1, "RESULT": result,
                "RESULT_SEQUENCE": sequence,
            })
        })
        .collect();
    for (scan, (found, (_, [write, done, refused]))) in run(&cases)?.iter().zip(scans).enumerate() {
        assert_eq!(*found, json!({"WRITE": write, "DONE": done, "REFUSED": refused}), "scan {scan}");
    }
    Ok(())
}
