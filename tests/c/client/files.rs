//! Files, whole and in parts.

use std::{ffi::c_void, fs, path::Path};

use super::*;

/// What a progress function was told, and after how many calls it stops.
struct Told {
    calls: Vec<(u64, u64)>,
    stop_after: usize,
    thread: std::thread::ThreadId,
}

impl Told {
    fn new(stop_after: usize) -> Told {
        Told { calls: Vec::new(), stop_after, thread: std::thread::current().id() }
    }
}

unsafe extern "C" fn tell(user_data: *mut c_void, done: u64, total: u64) -> bool {
    // SAFETY: it is a Told.
    let told = unsafe { &mut *user_data.cast::<Told>() };
    assert_eq!(told.thread, std::thread::current().id());
    told.calls.push((done, total));
    told.calls.len() < told.stop_after
}

fn send(client: &Client, to: &str, path: &Path, told: Option<&mut Told>) -> Result<u64, Failure> {
    let (to, path) = (c(to), c(path.to_str().unwrap()));
    let progress: obrolan_progress = if told.is_some() { Some(tell) } else { None };
    let user_data = told.map_or(ptr::null_mut(), |told| ptr::from_mut(told).cast());
    // SAFETY: they are there, or may be left out.
    out(|id| unsafe {
        obrolan_client_send_file(client.0, to.as_ptr(), path.as_ptr(), progress, user_data, id)
    })
}

fn get(client: &Client, id: &str, sha256: Option<&str>, path: &Path, told: &mut Told) -> Result<(), Failure> {
    let (id, sha256, path) = (c(id), sha256.map(c), c(path.to_str().unwrap()));
    let sha256 = sha256.as_ref().map_or(ptr::null(), |sha256| sha256.as_ptr());
    let user_data = ptr::from_mut(told).cast();
    // SAFETY: they are there, or may be left out.
    checked(unsafe {
        obrolan_client_get_file(client.0, id.as_ptr(), sha256, path.as_ptr(), Some(tell), user_data)
    })
}

#[test]
fn files_come_through_both_ways() {
    let server = Server::in_memory();
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let folder = tempfile::tempdir().unwrap();
    let (there, here) = (folder.path().join("data.bin"), folder.path().join("copy"));
    let content: Vec<u8> = (0..1_500_000_u32).map(|at| (at % 251) as u8).collect();
    fs::write(&there, &content).unwrap();
    let size = content.len() as u64;

    let mut told = Told::new(usize::MAX);
    let id = send(&ann, "bob", &there, Some(&mut told)).unwrap();
    assert_eq!((told.calls.first(), told.calls.last()), (Some(&(0, size)), Some(&(size, size))));
    assert!(told.calls.is_sorted() && told.calls.len() > 2, "{:?}", told.calls);

    let event = bob.next();
    assert_eq!((event.id(), event.text()), (id, None));
    assert_eq!(lent(obrolan_event_file_name(event.0)), Some("data.bin".into()));
    assert_eq!(obrolan_event_file_size(event.0), size);
    let file = lent(obrolan_event_file_id(event.0)).unwrap();
    let sha256 = lent(obrolan_event_file_sha256(event.0)).unwrap();
    assert_eq!(sha256.len(), 64);
    let mut told = Told::new(usize::MAX);
    assert_eq!(get(&bob, &file, Some(&sha256), &here, &mut told), nothing());
    assert_eq!(told.calls.last(), Some(&(size, size)));
    assert!(fs::read(&here).unwrap() == content);

    // What is at the path is as it was, unless all has come.
    let wrong = get(&bob, &file, Some(&"0".repeat(64)), &here, &mut Told::new(usize::MAX)).unwrap_err();
    assert_eq!(wrong, failure(OBROLAN_ERR_DAMAGED, "what came is not what was sent; fetch it again"));
    let stopped = failure(OBROLAN_ERR_STOPPED, "the file was stopped before it was through");
    let mut told = Told::new(2);
    assert_eq!(get(&bob, &file, None, &here, &mut told), Err(stopped));
    assert_eq!(told.calls.len(), 2);
    assert!(fs::read(&here).unwrap() == content);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no part is left behind");
    assert_eq!(send(&ann, "bob", &there, Some(&mut Told::new(1))).unwrap_err().code, OBROLAN_ERR_STOPPED);

    assert!(ann.request("ADD_GROUP go").unwrap().is_ok() && bob.request("JOIN_GROUP go").unwrap().is_ok());
    let path = c(there.to_str().unwrap());
    // SAFETY: they are there, or may be left out.
    let sent = unsafe {
        obrolan_client_send_group_file(
            ann.0,
            c"go".as_ptr(),
            path.as_ptr(),
            None,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    assert_eq!(sent, OBROLAN_OK);
    assert_eq!(lent(obrolan_event_group(bob.next().0)), Some("go".into()));
}

#[test]
fn what_cannot_be_sent_or_fetched() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("empty"), "").unwrap();
    fs::write(at("full"), "x").unwrap();
    let code = |name: &str, to: &str| send(&ann, to, &at(name), None).unwrap_err().code;
    assert_eq!(code("empty", "ann"), OBROLAN_ERR_ARGUMENT);
    assert_eq!(code("missing", "ann"), OBROLAN_ERR_IO);
    assert_eq!(code("", "ann"), OBROLAN_ERR_IO, "a folder");
    assert_eq!(
        (code("full", "nobody"), obrolan_last_code()),
        (OBROLAN_ERR_REQUEST, OBROLAN_CODE_NO_SUCH_USER)
    );
    let got = get(&ann, "0000", None, &at("copy"), &mut Told::new(1)).unwrap_err();
    assert_eq!((got.code, obrolan_last_code()), (OBROLAN_ERR_REQUEST, OBROLAN_CODE_NO_SUCH_FILE));
    send(&ann, "ann", &at("full"), None).unwrap();
    let file = lent(obrolan_event_file_id(ann.next().0)).unwrap();
    let nowhere = get(&ann, &file, None, &at("no/such/folder"), &mut Told::new(9)).unwrap_err();
    assert_eq!(nowhere.code, OBROLAN_ERR_IO);
}

#[test]
fn parts_by_hand() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    let name = c"notes.txt".as_ptr();
    let upload = |offset, bytes: &[u8]| {
        // SAFETY: they are there.
        out(|size| unsafe { obrolan_client_upload(ann.0, name, offset, bytes.as_ptr(), bytes.len(), size) })
    };
    assert_eq!((upload(0, b"halo,"), upload(5, b" dunia")), (Ok(5), Ok(11)));
    // SAFETY: they are there.
    let id = out(|id| unsafe { obrolan_client_send_upload(ann.0, c"ann".as_ptr(), name, id) }).unwrap();
    let event = ann.next();
    assert_eq!(event.id(), id);
    let part = |offset, length| {
        let file = obrolan_event_file_id(event.0);
        // SAFETY: they are there.
        Response(
            out(|out| unsafe { obrolan_client_get_file_part(ann.0, file, offset, length, out) }).unwrap(),
        )
    };
    let first = part(0, 5);
    assert_eq!((first.bytes(), first.number("next"), first.number("size")), (Ok(b"halo,".to_vec()), 5, 11));
    assert_eq!(part(5, 0).bytes(), Ok(b" dunia".to_vec()));

    assert!(ann.request("ADD_GROUP go").unwrap().is_ok());
    assert_eq!(upload(0, b"x"), Ok(1));
    // SAFETY: they are there.
    assert!(out(|id| unsafe { obrolan_client_send_group_upload(ann.0, c"go".as_ptr(), name, id) }).is_ok());
}
