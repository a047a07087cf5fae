//! Files as OpenSSL writes them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use keylane_api::Algorithm;
use keylane_api::control::KeyId;
use keylane_api::reference::KeyReference;
use tempfile::TempDir;

use super::{KeyRefusal, generate, import_octets, refused};

/// A directory in which OpenSSL works.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs OpenSSL and answers the file `out` that it made.
    fn openssl(&self, arguments: &str) -> Vec<u8> {
        let run = Command::new("openssl").args(arguments.split(' ')).current_dir(self.0.path()).output();
        let run = run.expect("these tests need the openssl command (`apt-get install openssl`)");
        assert!(run.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&run.stderr));
        fs::read(self.path("out")).unwrap()
    }

    /// Generates a private key into `key.pem` (PKCS#8) and answers its public half.
    fn key(&self, options: &str) -> Vec<u8> {
        let key = self.openssl(&format!("genpkey {options} -out out"));
        fs::write(self.path("key.pem"), key).unwrap();
        self.openssl("pkey -in key.pem -pubout -outform DER -out out")
    }
}

const MADE_BY: [(Algorithm, &str); 6] = [
    (Algorithm::Rsa2048, "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"),
    (Algorithm::Rsa3072, "-algorithm RSA -pkeyopt rsa_keygen_bits:3072"),
    (Algorithm::Rsa4096, "-algorithm RSA -pkeyopt rsa_keygen_bits:4096"),
    (Algorithm::P256, "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"),
    (Algorithm::P384, "-algorithm EC -pkeyopt ec_paramgen_curve:P-384"),
    (Algorithm::Ed25519, "-algorithm ED25519"),
];

#[test]
fn every_form_of_every_algorithm_is_taken() {
    for (algorithm, options) in MADE_BY {
        let bench = Bench::new();
        let public = bench.key(options);
        let mut forms = vec!["pkey -in key.pem -out out", "pkey -in key.pem -outform DER -out out"];
        // PKCS#1 and SEC 1; Ed25519 has no form of before PKCS#8.
        if algorithm != Algorithm::Ed25519 {
            forms.push("pkey -in key.pem -traditional -out out");
            forms.push("pkey -in key.pem -traditional -outform DER -out out");
        }
        for form in forms {
            let material =
                import_octets(&bench.openssl(form)).unwrap_or_else(|cause| panic!("{form}: {cause}"));
            assert_eq!(material.algorithm, algorithm, "{form}");
            assert_eq!(material.public_spki(), public, "{form}");
        }
    }
}

/// PKCS#8 version 2, with the public key, as ring and rcgen write it.
#[test]
fn version_2_of_pkcs8_is_taken_and_its_public_key_compared() {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    let pair = Ed25519KeyPair::generate().unwrap();
    let file: aws_lc_rs::encoding::Pkcs8V2Der<'_> = pair.as_der().unwrap();
    let mut file = file.as_ref().to_vec();
    let material = import_octets(&file).unwrap();
    assert_eq!(material.part(super::super::Part::Public), pair.public_key().as_ref());
    *file.last_mut().unwrap() ^= 1;
    refused(&file, &KeyRefusal::PublicMismatch);
}

#[test]
fn a_key_may_stand_among_certificates_and_parameters() {
    let bench = Bench::new();
    let public = bench.key(MADE_BY[3].1);
    let certificate = bench.openssl("req -x509 -new -key key.pem -subj /CN=test -out out");
    let parameters = bench.openssl("ecparam -name prime256v1 -out out");
    let sec1 = bench.openssl("ec -in key.pem -out out");
    for file in [[&certificate[..], &sec1].concat(), [&parameters[..], &sec1, &certificate].concat()] {
        assert_eq!(import_octets(&file).unwrap().public_spki(), public);
        let windows = String::from_utf8(file).unwrap().replace('\n', "\r\n");
        assert_eq!(import_octets(windows.as_bytes()).unwrap().public_spki(), public);
    }
    refused(&[&sec1[..], &sec1].concat(), &KeyRefusal::SeveralKeys);
    refused(&certificate, &KeyRefusal::NotPrivate("a certificate"));
    let der = bench.openssl("req -x509 -new -key key.pem -subj /CN=test -outform DER -out out");
    refused(&der, &KeyRefusal::NotPrivate("a certificate or a request for one"));
    let request = bench.openssl("req -new -key key.pem -subj /CN=test -out out");
    refused(&request, &KeyRefusal::NotPrivate("a certificate request"));
    refused(&public, &KeyRefusal::NotPrivate("a public key"));
    refused(&bench.openssl("pkey -in key.pem -pubout -out out"), &KeyRefusal::NotPrivate("a public key"));
}

#[test]
fn encrypted_keys_are_refused_with_the_command_that_decrypts_them() {
    let bench = Bench::new();
    bench.key(MADE_BY[0].1);
    for form in [
        "pkcs8 -topk8 -in key.pem -passout pass:secret -out out",
        "pkcs8 -topk8 -in key.pem -passout pass:secret -outform DER -out out",
        "rsa -in key.pem -traditional -aes256 -passout pass:secret -out out",
    ] {
        refused(&bench.openssl(form), &KeyRefusal::Encrypted);
    }
    assert!(KeyRefusal::Encrypted.to_string().contains("openssl pkey"));
    bench.openssl("req -x509 -new -key key.pem -subj /CN=test -out out");
    fs::rename(bench.path("out"), bench.path("cert.pem")).unwrap();
    let pkcs12 = bench.openssl("pkcs12 -export -in cert.pem -inkey key.pem -passout pass: -out out");
    refused(&pkcs12, &KeyRefusal::Pkcs12);
}

#[test]
fn unsupported_keys_are_refused_by_their_name() {
    let bench = Bench::new();
    for (options, expected) in [
        ("-algorithm X25519", KeyRefusal::Algorithm("X25519".to_owned())),
        ("-algorithm ED448", KeyRefusal::Algorithm("Ed448".to_owned())),
        ("-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048", KeyRefusal::Algorithm("RSASSA-PSS".to_owned())),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-521", KeyRefusal::Curve("P-521".to_owned())),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1", KeyRefusal::Curve("secp256k1".to_owned())),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_primes:3", KeyRefusal::MultiPrime),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:1024", KeyRefusal::Short(1024)),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2056", KeyRefusal::Size(2056)),
        (
            "-algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3",
            KeyRefusal::SmallExponent(3),
        ),
        (
            "-algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:8589934593",
            KeyRefusal::LargeExponent,
        ),
        (
            "-algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
            KeyRefusal::ExplicitCurve,
        ),
    ] {
        refused(&bench.openssl(&format!("genpkey {options} -out out")), &expected);
    }
    bench.key("-algorithm EC -pkeyopt ec_paramgen_curve:P-256");
    refused(&bench.openssl("ec -in key.pem -param_enc explicit -out out"), &KeyRefusal::ExplicitCurve);
}

#[test]
fn what_is_no_key_is_called_so() {
    for file in [&b""[..], b"hello", &[0; 100], &[0x30, 0], &[0x30, 3, 2, 1, 0], &[0x30, 0x80, 0, 0]] {
        refused(file, &KeyRefusal::NotAKey);
    }
    refused(b"-----BEGIN PRIVATE KEY-----\n", &KeyRefusal::DamagedPem);
    refused(b"-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n", &KeyRefusal::DamagedPem);
    refused(
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        &KeyRefusal::OpenSsh,
    );
    refused(b"-----BEGIN MESSAGE-----\nAAAA\n-----END MESSAGE-----\n", &KeyRefusal::NotAKey);
}

#[test]
fn a_reference_is_not_mistaken_for_a_key() {
    let public = generate(Algorithm::P256).unwrap().public_spki();
    let reference = KeyReference::new("web", "one", KeyId(1), &public).unwrap();
    refused(reference.to_pem().unwrap().as_bytes(), &KeyRefusal::Reference);
    refused(&reference.to_der().unwrap(), &KeyRefusal::Reference);
}

/// A file that was cut off or changed is refused, or is the same key: never another one, never a panic.
#[test]
fn damaged_files_never_become_another_key() {
    for (algorithm, options) in [MADE_BY[0], MADE_BY[3], MADE_BY[5]] {
        let bench = Bench::new();
        let public = bench.key(options);
        let file = bench.openssl("pkey -in key.pem -outform DER -out out");
        for length in 0..file.len() {
            assert!(import_octets(&file[..length]).is_err(), "{length} octets");
        }
        // An RSA key is consistent with itself; a changed seed or lone scalar is a key of its own, by construction.
        let step = if algorithm.is_rsa() { 7 } else { 1 };
        for at in (0..file.len()).step_by(step) {
            let mut changed = file.clone();
            changed[at] ^= 1 << (at % 8);
            let Ok(taken) = import_octets(&changed) else { continue };
            assert!(taken.public_spki() == public || algorithm == Algorithm::Ed25519, "octet {at}");
        }
    }
}
