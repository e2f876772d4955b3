//! Converts the content of a snapshot to messages for the PLC's session.

use super::snapshot::{ModbusSnapshot, SIMULATED};
use crate::{
    code::{REGISTER_PASS, REGISTER_REJECT, REGISTER_REVIEW, VerdictCode},
    reason::ReasonCode,
    state::{StateCode, Status},
    to_plc::{Busy, DeviceHeartbeat, Flags, Nak, Origin, Record, ToPlc, VerdictMessage},
};

/// The status bits without a meaning in this version: 8 to 15.
const UNKNOWN_BITS: u16 = 0xFF00;

/// The device's heartbeat and state.
pub(super) fn heartbeat(shown: &ModbusSnapshot) -> DeviceHeartbeat {
    DeviceHeartbeat {
        counter: u32::from(shown.heartbeat),
        // A number of more than 8 bits becomes 255, which is an unknown state.
        state: StateCode(u8::try_from(shown.state).unwrap_or(u8::MAX)),
        status: shown.status,
        backlog: shown.backlog,
    }
}

/// The message about the part in the snapshot. `nonce` is the complete nonce; the register has only its low half. `None` if the
/// snapshot has no part, a part that is not accepted yet, or a part whose verdict was acknowledged before.
pub(super) fn of_part(shown: &ModbusSnapshot, nonce: u32) -> Option<ToPlc> {
    let ModbusSnapshot { part_id, reason, score, model, image, .. } = *shown;
    let (verdict_seq, code) = (u64::from(shown.sequence), code(shown.verdict));
    Some(if shown.status.has(Status::VALID) {
        ToPlc::Verdict(VerdictMessage {
            part_id,
            nonce,
            verdict_seq,
            code,
            // `ModbusSnapshot::from_registers` has checked the complement in the registers.
            complement: !code.0,
            reason,
            score,
            age_ms: u32::from(shown.age_ms),
            model,
            image,
            flags: flags(shown.status),
        })
    } else if shown.status.has(Status::DONE) {
        let (boot_epoch, flags, origin) = (shown.epoch, flags(shown.status), Origin::UNKNOWN);
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

/// Converts a register's 16-bit verdict code to the 32-bit code of frames. An unknown code stays unknown.
fn code(register: u16) -> VerdictCode {
    match register {
        REGISTER_PASS => VerdictCode::PASS,
        REGISTER_REVIEW => VerdictCode::REVIEW,
        REGISTER_REJECT => VerdictCode::REJECT,
        other => VerdictCode(u32::from(other)),
    }
}

/// The flags of the verdict in the registers. Unknown status bits count as degraded.
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
    fn each_status_becomes_its_message() {
        // A nonce with more bits than the register's 16.
        let nonce = 0x1_0005;
        let Some(ToPlc::Verdict(verdict)) = of_part(&shown(Status::VALID.with(Status::DONE, true)), nonce) else {
            panic!("it is valid")
        };
        assert_eq!((verdict.part_id, verdict.nonce, verdict.code), (4, nonce, VerdictCode::PASS));
        assert!(matches!(of_part(&shown(Status::DONE), nonce), Some(ToPlc::Record(record)) if record.verdict_seq == 9));
        assert_eq!(of_part(&shown(Status::READY), nonce), None);
        let refused = ModbusSnapshot { sequence: 0, ..shown(Status::READY) };
        assert!(matches!(of_part(&refused, nonce), Some(ToPlc::Nak(nak)) if nak.reason == refused.reason));
        let busy = ModbusSnapshot { reason: ReasonCode(0), sequence: 0, ..shown(Status::BUSY) };
        assert_eq!(of_part(&busy, nonce), Some(ToPlc::Busy(Busy { part_id: 4, nonce })));
        assert_eq!(of_part(&ModbusSnapshot::EMPTY, 0), None);
    }

    #[test]
    fn unknown_bits_set_flags_and_only_the_pass_register_is_a_pass() {
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
