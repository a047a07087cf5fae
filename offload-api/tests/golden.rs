//! The ABI, byte for byte: what is here can only change together with its version.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fmt::Debug;

use base16ct::lower as hex;
use bytemuck::{Pod, bytes_of, pod_read_unaligned};
use keylane_api::control::{
    ChannelShape, KeyId, KeyInfo, KeySelector, Reply, Request, SlotId, decode, encode,
};
use keylane_api::wire::{
    ABI, AbiRange, COMPLETION_BYTES_DEFAULT, CompletionHeader, FLAG_DIGEST, KeyHandle, Operation,
    SUBMISSION_BYTES_DEFAULT, SubmissionHeader,
};
use keylane_api::{Algorithm, Scheme, Status};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Both directions: these bytes, and back.
fn pins_entry<T: Pod + PartialEq + Debug>(value: T, expected: &str) {
    assert_eq!(hex::encode_string(bytes_of(&value)), expected);
    assert_eq!(pod_read_unaligned::<T>(&hex::decode_vec(expected).unwrap()), value);
}

/// Both directions: this packet, and back.
fn pins_message<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &T, expected: &str) {
    assert_eq!(hex::encode_string(&encode(message).unwrap()), expected, "{message:?}");
    assert_eq!(&decode::<T>(&hex::decode_vec(expected).unwrap()).unwrap(), message);
}

/// Every RSA scheme, as a list.
const RSA_SCHEMES: &str = "068410851086108108810a810c";
const HANDLE: KeyHandle =
    KeyHandle { session: 0x0102_0304, index: 0x0506_0708, generation: 0x090a_0b0c, reserved: 0 };
const SHAPE: ChannelShape = ChannelShape { entries: 128, submission_bytes: 256, completion_bytes: 640 };

#[test]
fn entries() {
    let submission = SubmissionHeader {
        tag: 0x1112_1314_1516_1718,
        key: HANDLE,
        operation: Operation::Sign as u16,
        scheme: Scheme::EcdsaP256Sha256 as u16,
        flags: FLAG_DIGEST,
        reserved: 0,
        length: 0x2122_2324,
        budget_us: 0x3132_3334,
    };
    pins_entry(
        submission,
        "181716151413121104030201080706050c0b0a090000000002000304010000002423222134333231",
    );
    let completion = CompletionHeader {
        tag: 0x1112_1314_1516_1718,
        status: Status::CheckFailed as u16,
        flags: 0,
        length: 0x2122_2324,
        reserved: 0,
    };
    pins_entry(completion, "181716151413121102030000242322210000000000000000");
    assert_eq!((SUBMISSION_BYTES_DEFAULT, COMPLETION_BYTES_DEFAULT), (256, 640));
    assert_eq!(ABI, AbiRange { min: 1, max: 1 });
}

#[test]
fn operations() {
    let codes =
        [(Operation::Ping, 1), (Operation::Sign, 2), (Operation::ExportPublic, 3), (Operation::Random, 4)];
    for (operation, code) in codes {
        assert_eq!((operation as u16, Operation::from_code(code)), (code, Some(operation)));
    }
    let known = (0..=u16::MAX).filter(|code| Operation::from_code(*code).is_some()).count();
    assert_eq!(known, codes.len());
}

#[test]
fn statuses() {
    let codes: Vec<_> =
        Status::ALL.iter().map(|status| format!("{:04x} {status:?}", *status as u16)).collect();
    let expected = [
        "0000 Ok",
        "0101 PolicyDenied",
        "0102 RawDigestDenied",
        "0103 NotTlsServerMessage",
        "0104 UnknownOperation",
        "0105 SchemeDenied",
        "0106 NotGranted",
        "0107 NotFound",
        "0108 AlreadyExists",
        "0109 StaleHandle",
        "010a AbiUnsupported",
        "010b KeyRefused",
        "0180 Busy",
        "0181 AuditFull",
        "0182 Draining",
        "0183 ContextsFull",
        "0184 DeadlineUnmeetable",
        "0201 Malformed",
        "0202 Quarantined",
        "0301 Internal",
        "0302 CheckFailed",
        "0303 Store",
    ];
    assert_eq!(codes, expected);
}

#[test]
fn schemes() {
    let codes: Vec<_> =
        Scheme::ALL.iter().map(|scheme| format!("{:04x} {scheme:?}", *scheme as u16)).collect();
    let expected = [
        "0401 RsaPkcs1Sha256",
        "0501 RsaPkcs1Sha384",
        "0601 RsaPkcs1Sha512",
        "0403 EcdsaP256Sha256",
        "0503 EcdsaP384Sha384",
        "0804 RsaPssSha256",
        "0805 RsaPssSha384",
        "0806 RsaPssSha512",
        "0807 Ed25519",
    ];
    assert_eq!(codes, expected);
}

#[test]
fn requests() {
    pins_message(
        &Request::Hello { abi: AbiRange { min: 1, max: 300 }, program: "nginx".to_owned() },
        "0001ac02056e67696e78",
    );
    pins_message(&Request::OpenChannel { shape: SHAPE, wake_descriptor: true }, "0180018002800501");
    pins_message(&Request::CloseChannel { channel: 300 }, "02ac02");
    let label =
        |slot: Option<&str>| KeySelector::Label { slot: slot.map(str::to_owned), label: "www".to_owned() };
    pins_message(&Request::ResolveKey { selector: label(None) }, "03000003777777");
    pins_message(&Request::ResolveKey { selector: label(Some("prod")) }, "0300010470726f6403777777");
    let object = KeySelector::Object { slot: SlotId(1), key: KeyId(0x0102_0304_0506) };
    pins_message(&Request::ResolveKey { selector: object }, "030101868a9098a020");
    pins_message(&Request::ResolveKey { selector: KeySelector::Public(vec![0x30, 0x59]) }, "0302023059");
    pins_message(&Request::ReleaseKey { handle: HANDLE }, "0484868808888e98288c96a84800");
}

#[test]
fn replies() {
    let welcome = Reply::Welcome { abi: 1, session: 7, engine_pid: 4242, busy_poll: true, channels_max: 256 };
    pins_message(&welcome, "0001079221018002");
    pins_message(&Reply::ChannelOpened { channel: 300, worker: 1, shape: SHAPE }, "01ac0201800180028005");
    pins_message(&Reply::Done, "02");
    let keys = [
        format!("00023059{RSA_SCHEMES}"),
        format!("01023059{RSA_SCHEMES}"),
        format!("02023059{RSA_SCHEMES}"),
        "03023059018308".to_owned(),
        "0402305901830a".to_owned(),
        "05023059018710".to_owned(),
    ];
    for (algorithm, key) in Algorithm::ALL.into_iter().zip(keys) {
        let info = KeyInfo {
            handle: HANDLE,
            slot: SlotId(1),
            key: KeyId(2),
            label: "www".to_owned(),
            algorithm,
            public: vec![0x30, 0x59],
            schemes: algorithm.schemes().to_vec(),
        };
        pins_message(&Reply::KeyResolved(info), &format!("0384868808888e98288c96a84800010203777777{key}"));
    }
    let refused = |status| Reply::Refused { status, detail: "no".to_owned() };
    pins_message(&refused(Status::PolicyDenied), "048102026e6f");
    pins_message(&refused(Status::Store), "048306026e6f");
}

#[test]
fn an_unknown_status_is_no_message() {
    assert!(decode::<Reply>(&hex::decode_vec("04ff7f026e6f").unwrap()).is_err());
}

proptest! {
    #[test]
    fn no_packet_makes_decoding_panic(packet in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode::<Request>(&packet);
        let _ = decode::<Reply>(&packet);
    }

    #[test]
    fn no_flip_in_a_packet_makes_decoding_panic(at in 0_usize..64, value: u8, cut in 0_usize..64) {
        let info = KeyInfo {
            handle: HANDLE,
            slot: SlotId(1),
            key: KeyId(2),
            label: "www".to_owned(),
            algorithm: Algorithm::P256,
            public: vec![0x30; 20],
            schemes: Algorithm::Rsa2048.schemes().to_vec(),
        };
        let mut packet = encode(&Reply::KeyResolved(info)).unwrap();
        let at = at % packet.len();
        packet[at] = value;
        let _ = decode::<Reply>(&packet);
        packet.truncate(cut);
        let _ = decode::<Reply>(&packet);
    }

    #[test]
    fn octets_behind_a_message_are_an_error(rest in prop::collection::vec(any::<u8>(), 1..20)) {
        let mut packet = encode(&Reply::Done).unwrap();
        packet.extend(rest);
        prop_assert!(decode::<Reply>(&packet).is_err());
    }
}
