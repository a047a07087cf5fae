use aws_lc_rs::agreement;
use num_bigint::BigUint;

use super::*;
use crate::Tier;

fn tiers() -> impl Iterator<Item = Kernels> {
    Tier::ALL.into_iter().filter(|tier| tier.is_available()).map(|tier| Kernels::with_tier(tier).unwrap())
}

fn fills(kernels: Kernels) -> Vec<usize> {
    match kernels.tier() {
        Tier::Portable => [1, 8, 17].into(),
        Tier::Avx512Ifma => (1..=17).chain([31, 64, 127, 128]).collect(),
    }
}

fn secrets() -> Vec<[u8; 32]> {
    (0..128u8)
        .map(|number| core::array::from_fn(|i| number.wrapping_mul(29) ^ (i as u8).wrapping_mul(7)))
        .collect()
}

fn oracle(secret: &[u8; 32]) -> agreement::PrivateKey {
    agreement::PrivateKey::from_private_key(&agreement::X25519, secret).unwrap()
}

fn run_public(kernels: Kernels, secrets: &[&[u8; 32]]) -> Vec<[u8; 32]> {
    let mut out: Vec<_> = secrets.iter().map(|_| Err(Fault::Wrong)).collect();
    public(kernels, secrets, &mut Box::default(), &mut out);
    out.into_iter().map(|result| *result.unwrap().expose()).collect()
}

fn run_shared(kernels: Kernels, jobs: &[Job<'_>]) -> Vec<Result<[u8; 32], Fault>> {
    let mut out: Vec<_> = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
    shared(kernels, jobs, &mut Box::default(), &mut out);
    out.into_iter().map(|result| result.map(|result| *result.expose())).collect()
}

#[test]
fn public_values_are_the_oracles_at_every_fill() {
    let secrets = secrets();
    let expected: Vec<[u8; 32]> = secrets
        .iter()
        .map(|secret| oracle(secret).compute_public_key().unwrap().as_ref().try_into().unwrap())
        .collect();
    for kernels in tiers() {
        for fill in fills(kernels) {
            let own: Vec<_> = secrets[128 - fill..].iter().collect();
            assert_eq!(run_public(kernels, &own), expected[128 - fill..], "{kernels:?}: {fill}");
        }
    }
}

#[test]
fn shared_secrets_are_the_oracles_at_every_fill() {
    let secrets = secrets();
    let kernels = Kernels::select().unwrap();
    let peers = run_public(kernels, &secrets.iter().rev().collect::<Vec<_>>());
    let expected: Vec<Vec<u8>> = secrets
        .iter()
        .zip(&peers)
        .map(|(secret, peer)| {
            let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, peer);
            agreement::agree(&oracle(secret), peer, (), |shared| Ok(shared.to_vec())).unwrap()
        })
        .collect();
    for kernels in tiers() {
        for fill in fills(kernels) {
            let jobs: Vec<_> =
                secrets.iter().zip(&peers).map(|(secret, peer)| Job { secret, peer }).take(fill).collect();
            for (i, (got, expected)) in run_shared(kernels, &jobs).into_iter().zip(&expected).enumerate() {
                assert_eq!(got.unwrap(), expected[..], "{kernels:?}: {i} of {fill}");
            }
        }
    }
}

fn hex(text: &str) -> [u8; 32] {
    core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

#[test]
fn rfc_7748_vectors() {
    // §5.2: scalar, u, result. The second u has bit 255 set, which does not count.
    let vectors = [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ];
    for kernels in tiers() {
        for (secret, peer, shared) in vectors {
            let (secret, peer) = (hex(secret), hex(peer));
            let got = run_shared(kernels, &[Job { secret: &secret, peer: &peer }]);
            assert_eq!(got, [Ok(hex(shared))]);
        }
    }
}

#[test]
fn rfc_7748_a_thousand_times() {
    let kernels = Kernels::select().unwrap();
    let mut work = Box::new(Workspace::default());
    let nine = hex("0900000000000000000000000000000000000000000000000000000000000000");
    let (mut secret, mut peer) = (nine, nine);
    for _ in 0..1000 {
        let mut out = [Err(Fault::Wrong)];
        shared(kernels, &[Job { secret: &secret, peer: &peer }], &mut work, &mut out);
        peer = secret;
        secret = *out[0].as_ref().unwrap().expose();
    }
    assert_eq!(secret, hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

fn encoded(number: &BigUint) -> [u8; 32] {
    let mut octets = number.to_bytes_le();
    octets.resize(32, 0);
    octets.try_into().unwrap()
}

/// All u of small order, and their other encodings; among neighbours whose results must not suffer.
#[test]
fn small_orders_are_reported_and_disturb_nobody() {
    let p = (BigUint::from(1u8) << 255) - 19u8;
    let eight: BigUint =
        "325606250916557431795983626356110631294008115727848805560023387167927233504".parse().unwrap();
    let other: BigUint =
        "39382357235489614581723060781553021112529911719440698176882885853963445705823".parse().unwrap();
    let zero = BigUint::ZERO;
    let mut peers: Vec<_> = [&zero + 0u8, &zero + 1u8, &p - 1u8, eight, other, &p + 0u8, &p + 1u8]
        .iter()
        .flat_map(|number| [encoded(number), encoded(&(number + (BigUint::from(1u8) << 255)))])
        .collect();
    let small = peers.len();
    peers.extend((0..20u8).map(|i| core::array::from_fn(|at| i.wrapping_mul(11) + at as u8)));
    let secrets = secrets();
    // Interleaved: 7 and 34 have no common divisor.
    let order: Vec<_> = (0..peers.len()).map(|i| i * 7 % peers.len()).collect();
    for kernels in tiers() {
        let jobs: Vec<_> = order.iter().map(|&i| Job { secret: &secrets[i], peer: &peers[i] }).collect();
        for (&i, got) in order.iter().zip(run_shared(kernels, &jobs)) {
            if i < small {
                assert_eq!(got, Err(Fault::SmallOrder), "{kernels:?}: {i}");
            } else {
                let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, peers[i]);
                let expected = agreement::agree(&oracle(&secrets[i]), peer, (), |shared| Ok(shared.to_vec()));
                assert_eq!(got.unwrap()[..], expected.unwrap(), "{kernels:?}: {i}");
            }
        }
    }
}

#[test]
fn what_is_secret_is_erased() {
    let kernels = Kernels::select().unwrap();
    let secrets = secrets();
    let own: Vec<_> = secrets.iter().take(20).collect();
    let mut work = Box::new(Workspace::default());
    let mut out: Vec<_> = own.iter().map(|_| Err(Fault::Wrong)).collect();
    public(kernels, &own, &mut work, &mut out);
    let peer = *out[0].as_ref().unwrap().expose();
    let jobs: Vec<_> = own.iter().map(|secret| Job { secret, peer: &peer }).collect();
    shared(kernels, &jobs, &mut work, &mut out);
    work.ladders.iter_mut().for_each(Ladder::forget_peer);
    assert_eq!(format!("{work:?}"), format!("{:?}", Workspace::default()));
}
