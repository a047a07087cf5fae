//! What administrators ask, and what becomes of running sessions.

use std::io::{Read, Seek, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use keylane_api::Algorithm;
use keylane_api::Status;
use keylane_api::control::{KeyId, Reply, Request as ClientRequest, SlotId};

use super::bench::{
    Bench, Peer, WORKERS, committed, grant, hello, key, on_each_backend, own_uid, resolve, slot, token, until,
};
use crate::admin::client::{Client, ClientError};
use crate::admin::{GrantId, Request, SlotView, Who};
use crate::config::ControlBackend;
use crate::control::admins::may_administer;
use crate::directory::Directory;
use crate::limits::ADMINS_MAX;
use crate::messages::{Change, KeeperDone, Refusal, ToWorker};

fn refusal(error: &ClientError) -> (Status, &str) {
    match error {
        ClientError::Refused { status, detail } => (*status, detail),
        other => panic!("{other}"),
    }
}

#[test]
fn only_the_engines_user_and_root_administer() {
    let own = rustix::process::geteuid().as_raw();
    let peer = |uid| crate::directory::Peer { pid: 1, uid, gid: 0 };
    assert!(may_administer(peer(own)) && may_administer(peer(0)));
    assert!(!may_administer(peer(own.wrapping_add(12345))));
}

/// I6. A change that the audit log cannot witness could be taken back unnoticed.
#[test]
fn nothing_changes_while_the_audit_log_is_full() {
    on_each_backend(|bench| {
        bench.audit_full.store(true, Ordering::Relaxed);
        let mut admin = bench.admin();
        let refused = admin.create_slot("shop").unwrap_err();
        assert_eq!(refusal(&refused).0, Status::AuditFull);
        assert_eq!(refusal(&admin.revoke_grant(GrantId(1)).unwrap_err()).0, Status::AuditFull);
        assert!(bench.keeper.receive().is_none());
        assert_eq!(admin.slots().unwrap().len(), 2, "what changes nothing is answered");
        bench.audit_full.store(false, Ordering::Relaxed);
        bench.change(Change::SlotCreated(slot(3)), |admin| admin.create_slot("slot-3")).unwrap();
    });
}

#[test]
fn a_change_is_answered_when_the_keeper_has_made_it() {
    on_each_backend(|bench| {
        let created =
            bench.change(Change::SlotCreated(slot(3)), |admin| admin.create_slot("slot-3").unwrap());
        assert_eq!(created, SlotView { slot: SlotId(3), name: "slot-3".to_owned(), keys: 0, grants: 0 });
        let names: Vec<_> =
            bench.admin().slots().unwrap().into_iter().map(|view| (view.name, view.keys)).collect();
        assert_eq!(names, [("slot-1".to_owned(), 1), ("slot-2".to_owned(), 1), ("slot-3".to_owned(), 0)]);
        let status = bench.status();
        assert_eq!((status.store_epoch, status.slots), (77, 3));
        // The epoch is in the log.
        until(|| (bench.status().audit.durable_records == 1).then_some(()));
    });
}

#[test]
fn a_refusal_of_the_keeper_is_passed_on() {
    on_each_backend(|bench| {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| bench.admin().create_slot("slot-1").unwrap_err());
            let (ticket, request, _) = bench.job();
            assert_eq!(request, Request::SlotCreate { name: "slot-1".to_owned() });
            let refused = Refusal { status: Status::AlreadyExists, detail: "slot-1 exists".to_owned() };
            assert!(bench.from_keeper.send(KeeperDone::Change { ticket, outcome: Err(refused) }).is_ok());
            assert_eq!(refusal(&asked.join().unwrap()), (Status::AlreadyExists, "slot-1 exists"));
        });
        assert_eq!(bench.status().slots, 2);
    });
}

#[test]
fn others_are_served_while_an_administrator_waits() {
    on_each_backend(|bench| {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| bench.admin().create_slot("slot-3"));
            let (ticket, _, _) = bench.job();
            assert_eq!(bench.status().slots, 2);
            bench.client().resolve("slot-1");
            let outcome = Ok(committed(Change::SlotCreated(slot(3))));
            assert!(bench.from_keeper.send(KeeperDone::Change { ticket, outcome }).is_ok());
            asked.join().unwrap().unwrap();
        });
    });
}

#[test]
fn a_change_is_made_even_if_nobody_waits_for_it_any_more() {
    on_each_backend(|bench| {
        let peer = Peer::connect(&bench.directory.path().join("admin.sock")).unwrap();
        let request = Request::SlotCreate { name: "slot-3".to_owned() };
        peer.send_raw(&keylane_api::control::encode(&request).unwrap(), &[]).unwrap();
        let (ticket, _, _) = bench.job();
        drop(peer);
        bench.status();
        let outcome = Ok(committed(Change::SlotCreated(slot(3))));
        assert!(bench.from_keeper.send(KeeperDone::Change { ticket, outcome }).is_ok());
        until(|| (bench.status().slots == 3).then_some(()));
    });
}

#[test]
fn a_key_file_travels_to_the_keeper() {
    on_each_backend(|bench| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"a private key").unwrap();
        file.rewind().unwrap();
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| bench.admin().import_key("slot-1", "mail", None, file.as_fd()));
            let (ticket, request, received) = bench.job();
            let expected =
                Request::KeyImport { slot: "slot-1".to_owned(), label: "mail".to_owned(), allow: None };
            assert_eq!(request, expected);
            let mut text = String::new();
            std::fs::File::from(received.unwrap()).read_to_string(&mut text).unwrap();
            assert_eq!(text, "a private key");
            let outcome = Ok(committed(Change::KeyAdded(key(11, 1, "mail"))));
            assert!(bench.from_keeper.send(KeeperDone::Change { ticket, outcome }).is_ok());
            let view = asked.join().unwrap().unwrap();
            assert_eq!((view.key, &*view.slot_name, &*view.label), (KeyId(11), "slot-1", "mail"));
            assert_eq!(view.schemes, Algorithm::P256.schemes());
        });
        assert_eq!(bench.admin().key("slot-1", "mail").unwrap().key, KeyId(11));
    });
}

#[test]
fn listings_come_in_pages() {
    let many = Directory::load(
        (1..=70).map(slot).collect(),
        (1..=70).map(|number| grant(number, 1 + number % 3, own_uid(), None)).collect(),
        (1..=100)
            .map(|number| key(number, if number % 10 == 0 { 2 } else { 1 }, &format!("k{number}")))
            .collect(),
    );
    let bench = Bench::start(ControlBackend::Auto, many);
    let mut admin = bench.admin();
    let slots: Vec<u32> = admin.slots().unwrap().into_iter().map(|view| view.slot.0).collect();
    assert_eq!(slots, (1..=70).collect::<Vec<_>>());
    let grants: Vec<u32> = admin.grants().unwrap().into_iter().map(|view| view.grant.0).collect();
    assert_eq!(grants, (1..=70).collect::<Vec<_>>());
    let keys: Vec<u64> = admin.keys(None).unwrap().into_iter().map(|view| view.key.0).collect();
    assert_eq!(keys, (1..=100).collect::<Vec<_>>());
    let keys: Vec<u64> = admin.keys(Some("slot-2")).unwrap().into_iter().map(|view| view.key.0).collect();
    assert_eq!(keys, (1..=10).map(|tenth| 10 * tenth).collect::<Vec<_>>());
    assert_eq!(refusal(&admin.keys(Some("none")).unwrap_err()).0, Status::NotFound);
    assert_eq!(refusal(&admin.key("slot-1", "none").unwrap_err()).0, Status::NotFound);
}

#[test]
fn a_new_grant_reaches_sessions_that_run() {
    on_each_backend(|bench| {
        let mut client = bench.client();
        assert_eq!(client.refused(&resolve("slot-2")).0, Status::NotFound);
        let added = Change::GrantAdded(grant(2, 2, own_uid(), None));
        let view = bench.change(added, |admin| admin.add_grant("slot-2", own_uid(), None).unwrap());
        assert_eq!((view.grant, &*view.slot, view.who), (GrantId(2), "slot-2", own_uid()));
        assert_eq!(client.resolve("slot-2").slot, SlotId(2));
    });
}

#[test]
fn a_revoked_grant_takes_its_slot_from_sessions_that_run() {
    on_each_backend(|bench| {
        let mut client = bench.client();
        bench.change(Change::GrantAdded(grant(2, 2, own_uid(), None)), |admin| {
            admin.add_grant("slot-2", own_uid(), None).unwrap();
        });
        let kept = client.resolve("slot-1").handle;
        let lost = client.resolve("slot-2").handle;
        bench.change(Change::GrantRevoked(GrantId(2)), |admin| admin.revoke_grant(GrantId(2)).unwrap());
        for worker in 0..WORKERS {
            assert!(matches!(bench.mail(worker), ToWorker::Bind(binding) if binding.index == kept.index));
            assert!(matches!(bench.mail(worker), ToWorker::Bind(binding) if binding.index == lost.index));
            assert!(matches!(bench.mail(worker), ToWorker::Unbind { index, .. } if index == lost.index));
        }
        assert_eq!(client.refused(&ClientRequest::ReleaseKey { handle: lost }).0, Status::StaleHandle);
        assert_eq!(client.refused(&resolve("slot-2")).0, Status::NotFound);
        assert_eq!(client.ask(&ClientRequest::ReleaseKey { handle: kept }).0, Reply::Done);

        // With its last grant a session ends.
        bench.change(Change::GrantRevoked(GrantId(1)), |admin| admin.revoke_grant(GrantId(1)).unwrap());
        let (last_word, _) = client.receive();
        assert!(matches!(last_word, Reply::Refused { status: Status::NotGranted, .. }), "{last_word:?}");
        assert!(client.try_receive().is_none());
        for worker in 0..WORKERS {
            until(|| matches!(bench.mail(worker), ToWorker::Detach { .. }).then_some(()));
        }
        assert_eq!(bench.stranger().refused(&hello()).0, Status::NotGranted);
    });
}

#[test]
fn a_key_that_another_grant_shows_keeps_its_handle() {
    on_each_backend(|bench| {
        let by_gid = Who::Gid(rustix::process::getegid().as_raw());
        let mut client = bench.client();
        bench.change(Change::GrantAdded(grant(5, 1, own_uid(), None)), |admin| {
            admin.add_grant("slot-1", by_gid, None).unwrap();
        });
        let handle = client.resolve("slot-1").handle;
        bench.change(Change::GrantRevoked(GrantId(1)), |admin| admin.revoke_grant(GrantId(1)).unwrap());
        for worker in 0..WORKERS {
            let ToWorker::Bind(first) = bench.mail(worker) else { panic!("no binding") };
            let ToWorker::Bind(second) = bench.mail(worker) else { panic!("no new binding") };
            assert_eq!((first.grant.id(), second.grant.id()), (GrantId(1), GrantId(5)));
            assert!(first.grant.is_revoked() && !second.grant.is_revoked());
            assert_eq!((second.index, second.generation), (handle.index, handle.generation));
        }
        assert_eq!(client.ask(&ClientRequest::ReleaseKey { handle }).0, Reply::Done);
    });
}

#[test]
fn a_deleted_key_loses_its_handles() {
    on_each_backend(|bench| {
        let mut client = bench.client();
        let handles = [client.resolve("slot-1").handle, client.resolve("slot-1").handle];
        bench.change(Change::KeyDeleted(KeyId(10)), |admin| admin.delete_key("slot-1", "web").unwrap());
        for worker in 0..WORKERS {
            for _ in handles {
                assert!(matches!(bench.mail(worker), ToWorker::Bind(_)));
            }
            let gone = handles.map(|_| match bench.mail(worker) {
                ToWorker::Unbind { index, .. } => index,
                _ => panic!("still bound"),
            });
            assert_eq!(gone, handles.map(|handle| handle.index));
        }
        assert_eq!(client.refused(&resolve("slot-1")).0, Status::NotFound);
    });
}

#[test]
fn a_grant_brings_its_own_socket_and_takes_it_away() {
    on_each_backend(|bench| {
        let path = bench.directory.path().join("tenant.sock");
        let row = grant(2, 2, own_uid(), Some(path.clone()));
        bench.change(Change::GrantAdded(row), |admin| {
            admin.add_grant("slot-2", own_uid(), Some(path.clone())).unwrap();
        });
        assert!(bench.status().listeners.contains(&path.display().to_string()));
        let mut tenant = Peer::connect(&path).unwrap();
        tenant.greet();
        assert_eq!(tenant.resolve("slot-2").slot, SlotId(2));
        assert_eq!(tenant.refused(&resolve("slot-1")).0, Status::NotFound, "granted on another socket");
        assert_eq!(bench.client().refused(&resolve("slot-2")).0, Status::NotFound);

        bench.change(Change::GrantRevoked(GrantId(2)), |admin| admin.revoke_grant(GrantId(2)).unwrap());
        assert!(!path.exists() && Peer::connect(&path).is_err());
        assert!(tenant.try_receive().is_some_and(|(reply, _)| matches!(reply, Reply::Refused { .. })));
        bench.client().resolve("slot-1");
    });
}

#[test]
fn a_socket_that_cannot_be_is_refused_before_anything_is_committed() {
    on_each_backend(|bench| {
        let add = |path: PathBuf| bench.admin().add_grant("slot-1", own_uid(), Some(path)).unwrap_err();
        let error = add(PathBuf::from(format!("/{}", "long/".repeat(30))));
        let (status, detail) = refusal(&error);
        assert_eq!(status, Status::Malformed);
        for part in ["151 octets", "107", "shorter", "/long/"] {
            assert!(detail.contains(part), "{part:?} is missing in {detail}");
        }
        assert_eq!(refusal(&add("relative.sock".into())).0, Status::Malformed);
        assert_eq!(refusal(&add("/nonexistent/directory/s".into())).0, Status::Internal);
        let file = bench.directory.path().join("file");
        std::fs::write(&file, "precious").unwrap();
        assert_eq!(refusal(&add(file.clone())).0, Status::AlreadyExists);
        assert_eq!(refusal(&add(bench.directory.path().join("admin.sock"))).0, Status::AlreadyExists);
        assert_eq!(std::fs::read_to_string(file).unwrap(), "precious");
        assert!(bench.keeper.is_empty(), "the keeper heard of none");
    });
}

#[test]
fn the_default_socket_by_its_path_is_the_default_socket() {
    on_each_backend(|bench| {
        std::thread::scope(|scope| {
            let socket = bench.socket();
            let asked = scope.spawn(|| bench.admin().add_grant("slot-2", own_uid(), Some(socket)));
            let (ticket, request, _) = bench.job();
            assert!(matches!(request, Request::GrantAdd { listener: None, .. }), "{request:?}");
            let outcome = Ok(committed(Change::GrantAdded(grant(2, 2, own_uid(), None))));
            assert!(bench.from_keeper.send(KeeperDone::Change { ticket, outcome }).is_ok());
            asked.join().unwrap().unwrap();
        });
    });
}

#[test]
fn a_grant_whose_directory_is_missing_does_not_keep_others_from_their_sockets() {
    for backend in [ControlBackend::Epoll, ControlBackend::Auto] {
        let mut directory = token();
        let missing = PathBuf::from("/nonexistent/tenant.sock");
        directory.apply(Change::GrantAdded(grant(2, 2, own_uid(), Some(missing))));
        let bench = Bench::start(backend, directory);
        assert_eq!(bench.status().listeners, [bench.socket().display().to_string()]);
        bench.client().resolve("slot-1");
    }
}

#[test]
fn administrators_are_bounded() {
    on_each_backend(|bench| {
        let mut admins: Vec<Client> = (0..ADMINS_MAX).map(|_| bench.admin()).collect();
        for admin in &mut admins {
            admin.slots().unwrap();
        }
        // Refused when it connects; whether its request or the answer is faster does not matter.
        let error = bench.admin().slots().unwrap_err();
        if let ClientError::Refused { status, detail } = &error {
            assert_eq!((*status, detail.contains("32 administrators")), (Status::Busy, true), "{detail}");
        }
        admins.pop();
        until(|| bench.admin().slots().ok());
    });
}

#[test]
fn a_status_fits_a_packet_however_many_workers_there_are() {
    on_each_backend(|bench| {
        let status = bench.status();
        assert_eq!(status.workers.len(), WORKERS);
        assert_eq!((status.ready, status.pid, &*status.kernels), (true, std::process::id(), "scalar"));
        assert!(["io_uring", "epoll"].contains(&&*status.control_backend));
        let mut large = status.clone();
        let mut worker = status.workers[0].clone();
        worker.fill_histogram.fill(u64::from(u32::MAX));
        worker.requests = u64::MAX;
        large.workers = vec![worker; crate::limits::WORKERS_MAX];
        let octets = serde_json::to_string(&large).unwrap().len();
        assert!(octets < crate::admin::PACKET_BYTES_MAX, "{octets}");
    });
}
