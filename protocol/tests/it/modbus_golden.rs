//! Compares requests, responses and the answers of the server byte by byte.
//!
//! In the first test, function and data of the requests and responses are the examples of the Modbus Application Protocol
//! V1.1b3, sections 6.3, 6.4, 6.6, 6.12, 6.17 and 7. Unit 17 and the CRC were added. The CRC was computed by another program.

#![expect(clippy::unwrap_used, reason = "clippy allows unwrap in tests, but not in their helpers")]

use cellgate_protocol::modbus::bundle_command::AnyCommand;
use cellgate_protocol::modbus::codec::{CountError, Exception, Request, Response, ResponseError, open};
use cellgate_protocol::modbus::command::{Command, CommandBlock};
use cellgate_protocol::modbus::crc16;
use cellgate_protocol::modbus::input::InputRegisters;
use cellgate_protocol::modbus::map::{COMMAND_ADDRESS, COMMAND_REGISTERS};
use cellgate_protocol::modbus::registers::Registers;
use cellgate_protocol::modbus::server::{Server, Written};
use cellgate_protocol::modbus::snapshot::ModbusSnapshot;

const UNIT: u8 = 0x11;
const EPOCH: u32 = 0x0003_0002;

fn bytes(hex: &str) -> Vec<u8> {
    hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// A frame of unit 17 with this PDU and a right CRC.
fn frame(pdu: &str) -> Vec<u8> {
    let mut frame = vec![UNIT];
    frame.extend(bytes(pdu));
    let crc = crc16::bytes_of(&frame);
    frame.extend(crc);
    frame
}

#[test]
fn each_request_and_its_response_have_the_bytes_of_the_standard() {
    let cases = [
        (
            Request::ReadHolding { address: 0x6B, count: 3 },
            "11 03 00 6B 00 03 76 87",
            Response::Registers(Registers::new(&[0x022B, 0, 0x64])),
            "11 03 06 02 2B 00 00 00 64 C8 BA",
        ),
        (
            Request::ReadInput { address: 8, count: 1 },
            "11 04 00 08 00 01 B2 98",
            Response::Registers(Registers::new(&[0x0A])),
            "11 04 02 00 0A F8 F4",
        ),
        (
            Request::WriteSingle { address: 1, value: 3 },
            "11 06 00 01 00 03 9A 9B",
            Response::WrittenSingle { address: 1, value: 3 },
            "11 06 00 01 00 03 9A 9B",
        ),
        (
            Request::WriteMultiple { address: 1, values: Registers::new(&[0x0A, 0x0102]) },
            "11 10 00 01 00 02 04 00 0A 01 02 C6 F0",
            Response::WrittenMultiple { address: 1, count: 2 },
            "11 10 00 01 00 02 12 98",
        ),
        (
            Request::ReadWrite {
                read_address: 3,
                read_count: 6,
                write_address: 14,
                values: Registers::new(&[0xFF, 0xFF, 0xFF]),
            },
            "11 17 00 03 00 06 00 0E 00 03 06 00 FF 00 FF 00 FF 4B 54",
            Response::Registers(Registers::new(&[0xFE, 0x0ACD, 1, 3, 0x0D, 0xFF])),
            "11 17 0C 00 FE 0A CD 00 01 00 03 00 0D 00 FF 0D 75",
        ),
        (
            Request::ReadHolding { address: 0, count: 1 },
            "11 03 00 00 00 01 86 9A",
            Response::Exception(1),
            "11 83 01 81 35",
        ),
        (
            Request::WriteMultiple { address: 0, values: Registers::new(&[0]) },
            "11 10 00 00 00 01 02 00 00 6B 90",
            Response::Exception(3),
            "11 90 03 0D C4",
        ),
    ];
    for (request, request_hex, response, response_hex) in cases {
        let mut out = [0; 256];
        assert_eq!(request.encode(UNIT, &mut out).unwrap(), bytes(request_hex), "{request:?}");
        assert_eq!(response.encode(UNIT, request.function(), &mut out).unwrap(), bytes(response_hex), "{response:?}");
        let request_bytes = bytes(request_hex);
        let (unit, pdu) = open(&request_bytes).unwrap();
        assert_eq!((unit, Request::decode(pdu)), (UNIT, Ok(request)));
        assert_eq!(Response::decode(&bytes(response_hex), UNIT, &request), Ok(response));
    }
}

#[test]
fn a_response_is_accepted_only_for_its_request() {
    let request = Request::ReadInput { address: 8, count: 1 };
    let decode = |pdu: &str| Response::decode(&frame(pdu), UNIT, &request).map(|_| ()).unwrap_err();
    assert_eq!(decode("03 02 00 0A"), ResponseError::Function(3));
    assert_eq!(decode("83 02"), ResponseError::Function(0x83));
    for mismatch in ["04", "04 02", "04 02 00", "04 04 00 0A 00 0B", "04 03 00 0A 00", "84", "84 02 02"] {
        assert_eq!(decode(mismatch), ResponseError::Mismatch, "{mismatch}");
    }
    assert_eq!(Response::decode(&frame("04 02 00 0A"), 5, &request), Err(ResponseError::Unit(UNIT)));
    assert_eq!(Response::decode(&bytes("11 04 02 00 0B F8 F4"), UNIT, &request), Err(ResponseError::Crc));
    let request = Request::WriteMultiple { address: 1, values: Registers::new(&[5, 6]) };
    for mismatch in ["10 00 02 00 02", "10 00 01 00 01", "10 00 01 00"] {
        assert_eq!(Response::decode(&frame(mismatch), UNIT, &request), Err(ResponseError::Mismatch), "{mismatch}");
    }
    let request = Request::WriteSingle { address: 1, value: 5 };
    assert_eq!(Response::decode(&frame("06 00 01 00 04"), UNIT, &request), Err(ResponseError::Mismatch));
}

#[test]
fn a_frame_with_no_registers_or_too_many_is_not_written() {
    let mut out = [0; 256];
    let mut fits = |request: Request<'_>| request.encode(UNIT, &mut out).map(<[u8]>::len);
    let many = [0; 126];
    let values = |count: usize| Registers::new(&many[..count]);
    assert_eq!(fits(Request::ReadHolding { address: 0, count: 125 }), Ok(8));
    assert_eq!(fits(Request::ReadHolding { address: 0, count: 126 }), Err(CountError));
    assert_eq!(fits(Request::ReadInput { address: 0, count: 0 }), Err(CountError));
    assert_eq!(fits(Request::WriteMultiple { address: 0, values: values(123) }), Ok(255));
    assert_eq!(fits(Request::WriteMultiple { address: 0, values: values(124) }), Err(CountError));
    let read_write =
        |read_count, count| Request::ReadWrite { read_address: 0, read_count, write_address: 0, values: values(count) };
    assert_eq!(fits(read_write(125, 121)), Ok(255));
    assert_eq!(fits(read_write(125, 122)), Err(CountError));
    assert_eq!(fits(read_write(126, 1)), Err(CountError));
    assert_eq!(Response::Registers(values(125)).encode(UNIT, 3, &mut out).map(<[u8]>::len), Ok(255));
    assert_eq!(Response::Registers(values(126)).encode(UNIT, 3, &mut out), Err(CountError));
}

/// An armed server, and its snapshot.
fn armed_server() -> (Server, InputRegisters) {
    let mut server = Server::new(UNIT.try_into().unwrap());
    write(&mut server, Command::None).unwrap();
    (server, snapshot())
}

fn snapshot() -> InputRegisters {
    ModbusSnapshot { device: 7, epoch: EPOCH, ..ModbusSnapshot::EMPTY }.to_registers().into()
}

/// The server's answer to a frame, and the block that the frame closed.
fn serve(server: &mut Server, snapshot: &InputRegisters, frame: &[u8]) -> (Option<Vec<u8>>, Option<Written>) {
    let mut out = [0; 256];
    let served = server.serve(frame, snapshot, &mut out);
    (served.answer.map(<[u8]>::to_vec), served.written)
}

/// Writes a complete block. Returns the command to execute, or the code of the exception.
fn write(server: &mut Server, command: Command) -> Result<Command, u8> {
    let registers = CommandBlock { heartbeat: 1, command }.to_registers();
    let request = Request::WriteMultiple { address: COMMAND_ADDRESS, values: Registers::new(&registers) };
    let mut out = [0; 256];
    let (answer, written) = serve(server, &snapshot(), request.encode(UNIT, &mut out).unwrap());
    match Response::decode(&answer.unwrap(), UNIT, &request).unwrap() {
        Response::Exception(code) => {
            assert_eq!(written, None);
            Err(code)
        }
        _ => match written.unwrap().command {
            AnyCommand::Plain(command) => Ok(command),
            AnyCommand::Bundle(command) => panic!("{command:?}"),
        },
    }
}

#[test]
fn reads_return_only_registers_of_the_map() {
    let (mut server, snapshot) = armed_server();
    // Each request is function, first register and count. 84 02 is exception 2 of function 04. The snapshot has 0x20 registers
    // from 0, the command block 0x0D registers from 0x100.
    let cases = [
        ("04 00 02 00 02", "04 04 00 00 00 07"),
        ("04 00 00 00 02", "04 04 00 02 43 67"),
        ("03 00 02 00 02", "03 04 00 00 00 07"),
        ("03 01 00 00 03", "03 06 00 01 00 00 00 00"),
        ("04 00 00 00 21", "84 02"),
        ("04 00 20 00 01", "84 02"),
        ("04 00 1F 00 02", "84 02"),
        ("04 01 00 00 01", "84 02"),
        ("04 FF FF 00 7D", "84 02"),
        ("03 00 1F 00 02", "83 02"),
        ("03 00 FF 00 02", "83 02"),
        ("03 01 0C 00 02", "83 02"),
        ("03 FF FF 00 01", "83 02"),
        ("03 00 00 00 00", "83 03"),
        ("04 00 00 00 7E", "84 03"),
        ("04 00 00 00", "84 03"),
        ("04 00 00 00 01 00", "84 03"),
    ];
    for (request, answer) in cases {
        assert_eq!(serve(&mut server, &snapshot, &frame(request)), (Some(frame(answer)), None), "{request}");
    }
    let whole = serve(&mut server, &snapshot, &frame("04 00 00 00 20")).0.unwrap();
    let registers = Registers::from_bytes(&whole[3..67]).unwrap().to_array().unwrap();
    assert_eq!(ModbusSnapshot::from_registers(&registers).unwrap().device, 7);
}

#[test]
fn wrong_functions_registers_and_lengths_get_exceptions_1_2_and_3() {
    let (mut server, snapshot) = armed_server();
    let cases = [
        ("01 00 00 00 01", "81 01"),
        ("11", "91 01"),
        ("2B 0E 01 00", "AB 01"),
        ("83 01", "83 01"),
        ("06 00 00 00 01", "86 02"),
        ("06 01 0D 00 01", "86 02"),
        ("10 00 FF 00 02 04 00 00 00 00", "90 02"),
        ("10 01 0C 00 02 04 00 00 00 00", "90 02"),
        ("10 FF FF 00 02 04 00 00 00 00", "90 02"),
        ("10 01 00 00 00 00", "90 03"),
        ("10 01 00 00 02 03 00 00 00", "90 03"),
        ("10 01 00 00 02 04 00 00", "90 03"),
        ("10 01 00", "90 03"),
        ("17 00 00 00 00 01 00 00 01 02 00 00", "97 03"),
        ("17 00 20 00 01 01 00 00 01 02 00 09", "97 02"),
        ("17 00 00 00 01 00 00 00 01 02 00 09", "97 02"),
    ];
    for (request, answer) in cases {
        assert_eq!(serve(&mut server, &snapshot, &frame(request)), (Some(frame(answer)), None), "{request}");
    }
    // The first register of the block, the heartbeat, still has the value that `armed_server` wrote.
    assert_eq!(serve(&mut server, &snapshot, &frame("03 01 00 00 01")).0, Some(frame("03 02 00 01")));
}

#[test]
fn other_units_broadcasts_and_wrong_crcs_get_no_answer() {
    let (mut server, snapshot) = armed_server();
    for unit in (0..=255).filter(|&unit| unit != UNIT) {
        for pdu in [&[0x03, 0, 0, 0, 1][..], &[0x06, 1, 0, 0, 9], &[0x2B, 1]] {
            let mut frame = vec![unit];
            frame.extend(pdu);
            frame.extend(crc16::bytes_of(&frame));
            assert_eq!(serve(&mut server, &snapshot, &frame), (None, None));
        }
    }
    for bad in ["11 03 00 00 00 01 86 9B", "11 2B 00 00", "11", "FF FF"] {
        assert_eq!(serve(&mut server, &snapshot, &bytes(bad)), (None, None));
    }
    assert_eq!(serve(&mut server, &snapshot, &frame("03 01 00 00 01")).0, Some(frame("03 02 00 01")));
    assert_eq!(server.counts().foreign, 255 * 3);
}

#[test]
fn a_trigger_or_clear_is_executed_once_and_an_acknowledgement_each_time() {
    let (mut server, _) = armed_server();
    let trigger = |part_id, nonce| Command::Trigger { part_id, nonce, epoch: EPOCH };
    let acknowledge = |sequence| Command::Acknowledge { part_id: 5, nonce: 1, sequence };
    for (command, executed) in [
        (trigger(5, 1), Ok(trigger(5, 1))),
        (trigger(5, 1), Ok(Command::None)),
        (acknowledge(8), Ok(acknowledge(8))),
        (trigger(5, 1), Ok(Command::None)),
        (acknowledge(8), Ok(acknowledge(8))),
        (acknowledge(9), Ok(acknowledge(9))),
        (Command::None, Ok(Command::None)),
        (trigger(5, 1), Ok(Command::None)),
        (trigger(6, 1), Err(3)),
        (trigger(5, 1), Ok(Command::None)),
        (trigger(6, 2), Ok(trigger(6, 2))),
        // A delayed copy of an earlier trigger.
        (trigger(5, 1), Ok(Command::None)),
        (trigger(7, 1), Ok(trigger(7, 1))),
        (trigger(6, 2), Ok(Command::None)),
        (Command::Clear { nonce: 2 }, Ok(Command::Clear { nonce: 2 })),
        (Command::Clear { nonce: 2 }, Ok(Command::None)),
        (Command::Clear { nonce: 3 }, Ok(Command::Clear { nonce: 3 })),
    ] {
        assert_eq!(write(&mut server, command), executed, "{command:?}");
    }
}

#[test]
fn a_trigger_of_another_epoch_is_handed_on_for_refusal_and_not_remembered() {
    let trigger = |epoch| Command::Trigger { part_id: 5, nonce: 1, epoch };
    for epoch in [EPOCH - 1, EPOCH + 1, 0, 2, EPOCH.swap_bytes()] {
        let mut server = Server::new(UNIT.try_into().unwrap());
        assert_eq!(write(&mut server, trigger(epoch)), Ok(trigger(epoch)), "armed or not");
        assert!(!server.is_armed());
        write(&mut server, Command::None).unwrap();
        for _ in 0..2 {
            assert_eq!(write(&mut server, trigger(epoch)), Ok(trigger(epoch)));
        }
        assert_eq!(write(&mut server, trigger(EPOCH)), Ok(trigger(EPOCH)), "{epoch}");
        assert_eq!(write(&mut server, trigger(EPOCH)), Ok(Command::None));
    }
}

#[test]
fn no_command_is_executed_after_a_start_before_command_0() {
    let mut server = Server::new(UNIT.try_into().unwrap());
    let trigger = Command::Trigger { part_id: 5, nonce: 1, epoch: EPOCH };
    assert_eq!(write(&mut server, trigger), Ok(Command::None));
    assert!(!server.is_armed());
    assert_eq!(write(&mut server, Command::None), Ok(Command::None));
    assert!(server.is_armed());
    assert_eq!(write(&mut server, trigger), Ok(trigger));
}

#[test]
fn an_invalid_block_is_refused_and_changes_no_register() {
    let (mut server, snapshot) = armed_server();
    let before = serve(&mut server, &snapshot, &frame("03 01 00 00 0D"));
    let right =
        CommandBlock { heartbeat: 4, command: Command::Trigger { part_id: 1, nonce: 2, epoch: EPOCH } }.to_registers();
    for at in 0..COMMAND_REGISTERS {
        let mut wrong = right;
        wrong[at] ^= 0x0100;
        let mut out = [0; 256];
        let request = Request::WriteMultiple { address: COMMAND_ADDRESS, values: Registers::new(&wrong) };
        let request = request.encode(UNIT, &mut out).unwrap();
        let answer = Some(frame(&format!("90 {:02X}", Exception::IllegalValue as u8)));
        assert_eq!(serve(&mut server, &snapshot, request), (answer, None));
        assert_eq!(serve(&mut server, &snapshot, &frame("03 01 00 00 0D")), before);
    }
}

#[test]
fn single_writes_close_the_block_with_its_last_register() {
    let (mut server, snapshot) = armed_server();
    let trigger = Command::Trigger { part_id: 0x0102_0304_0506_0708, nonce: 2, epoch: EPOCH };
    let registers = CommandBlock { heartbeat: 77, command: trigger }.to_registers();
    for (at, value) in registers.into_iter().enumerate() {
        let request = Request::WriteSingle { address: COMMAND_ADDRESS + at as u16, value };
        let mut out = [0; 256];
        let frame = request.encode(UNIT, &mut out).unwrap().to_vec();
        let (answer, written) = serve(&mut server, &snapshot, &frame);
        assert_eq!(answer, Some(frame));
        let executed = (at == 12).then_some(Written { heartbeat: 77, command: trigger.into() });
        assert_eq!(written, executed, "register {at}");
    }
}

#[test]
fn function_23_writes_then_reads() {
    let (mut server, snapshot) = armed_server();
    let registers = CommandBlock { heartbeat: 0x1234, command: Command::None }.to_registers();
    // Register 0 of the snapshot has the version of the map, 2.
    for (read_address, first) in [(COMMAND_ADDRESS, 0x1234), (0, 2)] {
        let request = Request::ReadWrite {
            read_address,
            read_count: 13,
            write_address: COMMAND_ADDRESS,
            values: Registers::new(&registers),
        };
        let mut out = [0; 256];
        let (answer, written) = serve(&mut server, &snapshot, request.encode(UNIT, &mut out).unwrap());
        assert_eq!(written, Some(Written { heartbeat: 0x1234, command: Command::None.into() }));
        let answer = answer.unwrap();
        let Ok(Response::Registers(read)) = Response::decode(&answer, UNIT, &request) else { panic!("{answer:?}") };
        assert_eq!(read.get(0), Some(first));
    }
}
