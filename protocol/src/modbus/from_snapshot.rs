//! A snapshot's content, as the messages that a PLC's session takes.

use super::snapshot::{ModbusSnapshot, SIMULATED};
use crate::{
    code::{REGISTER_PASS, REGISTER_REJECT, REGISTER_REVIEW, VerdictCode},
    reason::ReasonCode,
    state::{StateCode, Status},
    to_plc::{Busy, DeviceHeartbeat, Flags, Nak, Origin, Record, ToPlc, VerdictMessage},
};

/// Status bits that no version gave a meaning.
const UNKNOWN_BITS: u16 = 0xFF00;

/// How the device is.
pub(super) fn heartbeat(shown: &ModbusSnapshot) -> DeviceHeartbeat {
    DeviceHeartbeat {
        counter: u32::from(shown.heartbeat),
        // No state has a larger number.
        state: StateCode(u8::try_from(shown.state).unwrap_or(u8::MAX)),
        status: shown.status,
        backlog: shown.backlog,
    }
}

/// What it tells of its part; `nonce` is the whole nonce of which the register has the low half. None for what was
/// acknowledged before, or for nothing.
pub(super) fn of_part(shown: &ModbusSnapshot, nonce: u32) -> Option<ToPlc> {
    let ModbusSnapshot { part_id, reason, score, model, image, .. } = *shown;
    let (verdict_seq, code) = (u64::from(shown.sequence), code(shown.verdict));
    Some(if shown.status.has(Status::VALID) {
        ToPlc::Verdict(VerdictMessage {
            part_id,
            nonce,
            verdict_seq,
            code,
            // That of the register was checked with the snapshot.
            complement: !code.0,
            reason,
            score,
            age_ms: u32::from(shown.age_ms),
            model,
            image,
            flags: flags(shown.status),
        })
    } else if shown.status.has(Status::DONE) {
        let (boot_epoch, flags, origin) = (shown.epoch, flags(shown.status), Origin::NOT_TOLD);
        ToPlc::Record(Record {
            part_id,
            nonce,
            verdict_seq,
            boot_epoch,
            code,
            reason,
            score,
            model,
            image,
            flags,
            origin,
        })
    } else if shown.sequence != 0 {
        return None;
    } else if reason != ReasonCode(0) {
        ToPlc::Nak(Nak { part_id, nonce, reason })
    } else if shown.status.has(Status::BUSY) {
        ToPlc::Busy(Busy { part_id, nonce })
    } else {
        return None;
    })
}

/// The code of a frame for that of a register; a register that is none of the three gives no code either.
fn code(register: u16) -> VerdictCode {
    match register {
        REGISTER_PASS => VerdictCode::PASS,
        REGISTER_REVIEW => VerdictCode::REVIEW,
        REGISTER_REJECT => VerdictCode::REJECT,
        other => VerdictCode(u32::from(other)),
    }
}

fn flags(status: Status) -> Flags {
    let degraded = status.has(Status::DEGRADED) || status.0 & UNKNOWN_BITS != 0;
    let bits = [(status.has(SIMULATED), Flags::SIMULATED), (degraded, Flags::DEGRADED)];
    bits.iter().filter(|(on, _)| *on).fold(Flags::default(), |flags, (_, bit)| flags.with(*bit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::WireVerdict;

    fn shown(bits: Status) -> ModbusSnapshot {
        let (sequence, reason) = (9, ReasonCode::SCORE_BELOW_REVIEW);
        let verdict = WireVerdict::Pass.register();
        ModbusSnapshot { status: bits, sequence, part_id: 4, nonce: 5, verdict, reason, ..ModbusSnapshot::EMPTY }
    }

    #[test]
    fn each_status_is_one_message() {
        let whole = 0x1_0005;
        let Some(ToPlc::Verdict(verdict)) = of_part(&shown(Status::VALID.with(Status::DONE, true)), whole) else {
            panic!("it is valid")
        };
        assert_eq!((verdict.part_id, verdict.nonce, verdict.code), (4, whole, VerdictCode::PASS));
        assert!(matches!(of_part(&shown(Status::DONE), whole), Some(ToPlc::Record(record)) if record.verdict_seq == 9));
        assert_eq!(of_part(&shown(Status::READY), whole), None);
        let refused = ModbusSnapshot { sequence: 0, ..shown(Status::READY) };
        assert!(matches!(of_part(&refused, whole), Some(ToPlc::Nak(nak)) if nak.reason == refused.reason));
        let busy = ModbusSnapshot { reason: ReasonCode(0), sequence: 0, ..shown(Status::BUSY) };
        assert_eq!(of_part(&busy, whole), Some(ToPlc::Busy(Busy { part_id: 4, nonce: whole })));
        assert_eq!(of_part(&ModbusSnapshot::EMPTY, 0), None);
    }

    #[test]
    fn only_a_plain_pass_has_the_code_and_flags_of_one() {
        for bit in 4..16 {
            let status = Status(Status::VALID.0 | 1 << bit);
            let Some(ToPlc::Verdict(verdict)) = of_part(&shown(status), 5) else { panic!("it is valid") };
            let harmless = [Status::OVERRUN.0, Status::STORE_OK.0].contains(&(1 << bit));
            assert_eq!(verdict.flags == Flags::default(), harmless, "bit {bit}");
        }
        let right = (0..=u16::MAX).filter(|register| code(*register) == VerdictCode::PASS);
        assert!(right.eq([REGISTER_PASS]));
    }
}
