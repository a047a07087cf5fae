use super::*;

fn heard(socket: &UnixDatagram) -> Vec<u8> {
    let mut text = [0; 64];
    let len = socket.recv(&mut text).unwrap();
    text[..len].to_vec()
}

#[test]
fn notices_reach_paths_and_abstract_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    send_notice(path.as_os_str().as_bytes(), Notice::Ready).unwrap();
    assert_eq!(heard(&socket), b"READY=1");

    let name = format!("keylane-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    send_notice(format!("@{name}").as_bytes(), Notice::Stopping).unwrap();
    assert_eq!(heard(&socket), b"STOPPING=1");
    drop(socket);
    assert!(send_notice(format!("@{name}").as_bytes(), Notice::Ready).is_err());
}

#[test]
fn threads_are_named_pinned_deaf_and_secret() {
    let core = cores()[0];
    let stack = SecretStack::new(64 << 10).unwrap();
    let thread = spawn("keylane-test", Some(core), stack, || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        (std::thread::current().name().map(str::to_owned), cores(), status)
    });
    let (name, pinned, status) = thread.unwrap().join().unwrap();
    assert_eq!(name.as_deref(), Some("keylane-test"));
    assert_eq!(pinned, [core]);
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap().trim();
    let blocked = u64::from_str_radix(blocked, 16).unwrap();
    assert!(blocked & (1 << (libc::SIGTERM - 1)) != 0);
    assert!(blocked & (1 << (libc::SIGSEGV - 1)) == 0);
}

#[test]
fn a_core_that_is_not_ours_is_an_error() {
    let stack = SecretStack::new(16 << 10).unwrap();
    assert!(spawn("keylane-test", Some(usize::MAX), stack, || ()).is_err());
}
