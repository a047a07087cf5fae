use keylane_api::{Algorithm, Scheme, Status};
use proptest::prelude::*;

use super::tls::{is_tls12_server, is_tls13_server};
use super::*;

/// Code, octets of a point, and whether it begins with 4.
const CURVES: [(u16, u8, bool); 5] =
    [(0x17, 65, true), (0x18, 97, true), (0x19, 133, true), (0x1d, 32, false), (0x1e, 56, false)];

fn tls13(hash: &[u8]) -> Vec<u8> {
    let mut message = vec![b' '; 64];
    message.extend_from_slice(b"TLS 1.3, server CertificateVerify\0");
    message.extend_from_slice(hash);
    message
}

fn tls12(randoms: &[u8; 64], (curve, octets, nist): (u16, u8, bool), fill: u8) -> Vec<u8> {
    let mut message = randoms.to_vec();
    message.push(3);
    message.extend_from_slice(&curve.to_be_bytes());
    message.push(octets);
    message.extend(std::iter::repeat_n(fill, octets.into()));
    if let Some(first) = message.get_mut(68).filter(|_| nist) {
        *first = 4;
    }
    message
}

/// What real protocols sign, and a TLS server's key must not.
fn foreign() -> Vec<(&'static str, Vec<u8>)> {
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::new(vec!["example.org".into()]).unwrap();
    let certificate = request.clone().self_signed(&key).unwrap().der().to_vec();
    let csr = request.serialize_request(&key).unwrap().der().to_vec();
    let mut tls13_client = vec![b' '; 64];
    tls13_client.extend_from_slice(b"TLS 1.3, client CertificateVerify\0");
    tls13_client.extend_from_slice(&[7; 32]);
    let mut ssh = vec![0, 0, 0, 32];
    ssh.extend_from_slice(&[9; 32]);
    ssh.extend_from_slice(b"\x32\0\0\0\x04root\0\0\0\x0essh-connection\0\0\0\x09publickey\x01");
    // RFC 4346's handshake messages, which a TLS 1.2 client signs: a ClientHello comes first.
    let tls12_client = [&[1u8, 0, 0, 60, 3, 3][..], &[5; 58]].concat();
    // Finite-field key exchange: randoms and three lengths with numbers.
    let dhe = [&[1u8; 64][..], &[1, 0], &[0xff; 256], &[0, 1, 2], &[1, 0], &[3; 256]].concat();
    let explicit_curve = [&[1u8; 64][..], &[1, 0, 23, 65, 4], &[3; 64]].concat();
    vec![
        ("empty", Vec::new()),
        ("certificate", certificate.clone()),
        ("to-be-signed certificate", certificate[4..].to_vec()),
        ("certificate request", csr.clone()),
        ("to-be-signed request", csr[4..].to_vec()),
        ("JWT", b"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9".to_vec()),
        ("SSH login", ssh),
        ("TLS 1.3 client", tls13_client),
        ("TLS 1.2 client", tls12_client),
        ("TLS 1.2 finite field", dhe),
        ("TLS 1.2 explicit curve", explicit_curve),
        ("OCSP-like DER", [&[0x30u8, 0x81, 0x7f][..], &[2; 127]].concat()),
        ("130 octets", vec![0x20; 130]),
    ]
}

#[test]
fn the_default_signs_both_roles_and_nothing_else() {
    let policy = Policy::DEFAULT;
    for algorithm in Algorithm::ALL {
        for &scheme in algorithm.schemes() {
            let consent = |message: &[u8]| policy.consent(algorithm, scheme, Input::Message(message));
            for hash in [vec![1; 32], vec![2; 48]] {
                let expected = if tls::tls13_has(scheme) { Ok(()) } else { Err(Status::SchemeDenied) };
                assert_eq!(consent(&tls13(&hash)), expected, "{scheme:?}");
            }
            for curve in CURVES {
                assert_eq!(consent(&tls12(&[6; 64], curve, 0xee)), Ok(()), "{scheme:?} {curve:?}");
            }
            for (name, message) in foreign() {
                assert_eq!(consent(&message), Err(Status::NotTlsServerMessage), "{name}");
            }
            let digest = vec![0; scheme.digest_bytes().unwrap_or(64)];
            let denied = Err(Status::RawDigestDenied);
            assert_eq!(policy.consent(algorithm, scheme, Input::Digest(&digest)), denied);
        }
    }
}

#[test]
fn each_use_covers_its_own_inputs_only() {
    let algorithm = Algorithm::P256;
    let scheme = Scheme::EcdsaP256Sha256;
    let (new, old, other) = (tls13(&[1; 32]), tls12(&[1; 64], CURVES[0], 1), b"anything".to_vec());
    let digest = [0; 32];
    // What tls13, tls12, another message and a digest get.
    let not_tls = Err(Status::NotTlsServerMessage);
    let no_digest = Err(Status::RawDigestDenied);
    let no_use = Err(Status::PolicyDenied);
    let cases = [
        ("tls13-server", [Ok(()), not_tls, not_tls, no_digest]),
        ("tls12-server", [not_tls, Ok(()), not_tls, no_digest]),
        ("sign", [Ok(()), Ok(()), Ok(()), no_digest]),
        ("raw-digest", [no_use, no_use, no_use, Ok(())]),
        ("raw-digest,tls13-server", [Ok(()), not_tls, not_tls, Ok(())]),
        ("tls12-server,sign", [Ok(()), Ok(()), Ok(()), no_digest]),
        ("sign,raw-digest", [Ok(()), Ok(()), Ok(()), Ok(())]),
    ];
    for (allow, expected) in cases {
        let policy = Policy::parse(allow).unwrap();
        let inputs =
            [Input::Message(&new), Input::Message(&old), Input::Message(&other), Input::Digest(&digest)];
        let got = inputs.map(|input| policy.consent(algorithm, scheme, input));
        assert_eq!(got, expected, "{allow}");
        assert_eq!(policy.is_general_signer(), allow.contains("sign") || allow.contains("raw"), "{allow}");
    }
}

#[test]
fn digests_have_the_length_of_their_scheme() {
    let policy = Policy::parse("raw-digest").unwrap();
    for algorithm in Algorithm::ALL {
        for &scheme in algorithm.schemes() {
            for bytes in [0, 20, 31, 32, 33, 48, 64, 65] {
                let got = policy.consent(algorithm, scheme, Input::Digest(&vec![0; bytes]));
                let expected = match scheme.digest_bytes() {
                    Some(right) if right == bytes => Ok(()),
                    Some(_) => Err(Status::Malformed),
                    None => Err(Status::SchemeDenied),
                };
                assert_eq!(got, expected, "{scheme:?} {bytes}");
            }
        }
    }
}

#[test]
fn schemes_fit_the_algorithm_and_the_policy() {
    for algorithm in Algorithm::ALL {
        for scheme in Scheme::ALL.into_iter().filter(|scheme| !scheme.fits(algorithm)) {
            let policy = Policy::parse("sign,raw-digest").unwrap();
            assert_eq!(policy.consent(algorithm, scheme, Input::Message(b"")), Err(Status::SchemeDenied));
        }
        assert_eq!(Policy::DEFAULT.schemes(algorithm), algorithm.schemes());
    }
    let only = Policy::parse("sign,rsa-pss-sha384,ed25519").unwrap();
    assert_eq!(only.schemes(Algorithm::Rsa3072), [Scheme::RsaPssSha384]);
    assert_eq!(only.schemes(Algorithm::P256), []);
    let message = Input::Message(b"");
    assert_eq!(only.consent(Algorithm::Rsa2048, Scheme::RsaPssSha384, message), Ok(()));
    assert_eq!(only.consent(Algorithm::Rsa2048, Scheme::RsaPssSha256, message), Err(Status::SchemeDenied));
    let tls13_only = Policy::parse("tls13-server").unwrap();
    assert!(tls13_only.schemes(Algorithm::Rsa2048).into_iter().all(Scheme::is_pss));
    assert_eq!(Policy::parse("raw-digest").unwrap().schemes(Algorithm::Ed25519), []);
}

#[test]
fn words_are_read_and_errors_list_them() {
    assert_eq!(Policy::parse("tls13-server,tls12-server"), Ok(Policy::DEFAULT));
    assert_eq!(Policy::parse(" tls12-server , tls13-server,,tls12-server "), Ok(Policy::DEFAULT));
    assert_eq!(Policy::DEFAULT.to_string(), "tls13-server,tls12-server");
    let error = Policy::parse("sign,decrypt").unwrap_err();
    assert_eq!(error, PolicyError::UnknownWord("decrypt".into()));
    for word in ["decrypt", "tls13-server", "tls12-server", "sign", "raw-digest", "ed25519", "rsa-pss-sha512"]
    {
        assert!(error.to_string().contains(word), "{error}");
    }
    for none in ["", ",", "ed25519"] {
        let error = Policy::parse(none).unwrap_err();
        assert_eq!(error, PolicyError::NoUse);
        assert!(error.to_string().contains("tls13-server"));
    }
    assert!(Policy::parse("TLS13-SERVER").is_err());
}

#[test]
fn every_policy_survives_text_and_store() {
    for uses in 0..=u16::from(u8::MAX) {
        for schemes in [0, 1, 0b1_0101_0101, 0x1ff, 0x200] {
            let policy = Policy::try_from((uses, schemes));
            let is_known = (1..16).contains(&uses) && schemes < 0x200;
            assert_eq!(policy.is_ok(), is_known, "{uses:x} {schemes:x}");
            let Ok(policy) = policy else { continue };
            assert_eq!(Policy::parse(&policy.to_string()), Ok(policy));
            let stored = postcard::to_allocvec(&policy).unwrap();
            assert_eq!(postcard::from_bytes(&stored), Ok(policy));
        }
    }
    let bits: Vec<_> = Scheme::ALL.map(scheme_bit).to_vec();
    assert!(bits.iter().all(|bit| bit.is_power_of_two()));
    assert_eq!(bits.iter().fold(0, |all, bit| all | bit).count_ones() as usize, bits.len());
    assert_eq!(postcard::to_allocvec(&Policy::DEFAULT).unwrap(), [3, 0], "stores hold these octets");
}

/// Changing any one octet of the fixed parts, or the length by any amount, leaves the language.
#[test]
fn mutations_of_one_octet_are_refused() {
    for hash in [32, 48] {
        let word = tls13(&vec![0xab; hash]);
        assert!(is_tls13_server(&word));
        for index in 0..word.len() {
            for flip in 1..=u8::MAX {
                let mut changed = word.clone();
                changed[index] ^= flip;
                assert_eq!(is_tls13_server(&changed), index >= 98, "octet {index}");
            }
        }
        for end in 0..word.len() {
            assert_eq!(is_tls13_server(&word[..end]), end == 130);
        }
    }
    for curve @ (code, _, nist) in CURVES {
        let word = tls12(&[0xcd; 64], curve, 0x11);
        assert!(is_tls12_server(&word));
        for index in 0..word.len() {
            for flip in 1..=u8::MAX {
                let mut changed = word.clone();
                changed[index] ^= flip;
                let is_free = !(64..=68).contains(&index) || (index == 68 && !nist);
                assert_eq!(is_tls12_server(&changed), is_free, "{code:x} octet {index}");
            }
        }
        assert!((0..word.len()).all(|end| !is_tls12_server(&word[..end])));
        assert!(!is_tls12_server(&[word, vec![0]].concat()));
    }
}

/// Independent of the code under test: the languages as the RFCs tell them, by length first.
fn expected(message: &[u8]) -> (bool, bool) {
    let new = matches!(message.len(), 130 | 146)
        && message[..64].iter().all(|&octet| octet == 0x20)
        && &message[64..98] == b"TLS 1.3, server CertificateVerify\0";
    let old = CURVES.iter().any(|&(code, octets, nist)| {
        message.len() == 68 + usize::from(octets)
            && message[64] == 3
            && message[65..67] == code.to_be_bytes()
            && message[67] == octets
            && (!nist || message[68] == 4)
    });
    (new, old)
}

/// Octets that are close to a word of either language, or not at all.
fn near() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64).prop_map(|hash| tls13(&hash)),
        (prop::sample::select(CURVES.to_vec()), any::<u8>()).prop_map(|(curve, fill)| tls12(
            &[fill; 64],
            curve,
            fill
        )),
        (any::<u16>(), any::<u8>(), any::<bool>()).prop_map(|curve| tls12(&[1; 64], curve, 4)),
        prop::collection::vec(any::<u8>(), 0..300),
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..2);
    (word, edits, 0usize..3, 0usize..3).prop_map(|(mut word, edits, cut, grow)| {
        for (index, octet) in edits {
            if !word.is_empty() {
                let index = index.index(word.len());
                word[index] = octet;
            }
        }
        word.truncate(word.len().saturating_sub(cut));
        word.extend(std::iter::repeat_n(4, grow));
        word
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn the_languages_are_exact_and_disjoint(message in near()) {
        let got = (is_tls13_server(&message), is_tls12_server(&message));
        prop_assert_eq!(got, expected(&message));
        prop_assert_ne!(got, (true, true));
    }
}
