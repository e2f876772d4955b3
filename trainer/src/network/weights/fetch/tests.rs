//! Tests the download against a server on this machine, with a file and a digest of the tests.

use super::*;
use crate::network::weights::fetch::download::receive_file;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server does with one request.
type Answer = fn(&mut TcpStream, &Request, &[u8]);

/// The head of a request.
#[derive(Debug, Clone)]
struct Request {
    /// The first line, such as `GET /file HTTP/1.1`.
    first: String,
    /// The position in the header `Range`; 0 without it.
    from: usize,
}

/// A server that answers each connection with the next of `answers`, and the requests it got.
fn serve(content: Vec<u8>, answers: &'static [Answer]) -> (String, Arc<Mutex<Vec<Request>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let first = lines.next().unwrap();
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let range =
                head.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
            let from = range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap());
            let request = Request { first, from };
            seen.lock().unwrap().push(request.clone());
            answer(&mut stream, &request, &content);
        }
    });
    (address, requests)
}

fn head(stream: &mut TcpStream, status: &str, length: usize, more: &str) {
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n").unwrap();
}

fn whole(stream: &mut TcpStream, _: &Request, content: &[u8]) {
    head(stream, "200 OK", content.len(), "");
    stream.write_all(content).unwrap();
}

fn half(stream: &mut TcpStream, _: &Request, content: &[u8]) {
    head(stream, "200 OK", content.len(), "");
    stream.write_all(&content[..content.len() / 2]).unwrap();
}

fn rest(stream: &mut TcpStream, request: &Request, content: &[u8]) {
    let range = format!("Content-Range: bytes {}-{}/{}\r\n", request.from, content.len() - 1, content.len());
    head(stream, "206 Partial Content", content.len() - request.from, &range);
    stream.write_all(&content[request.from..]).unwrap();
}

fn not_found(stream: &mut TcpStream, _: &Request, _: &[u8]) {
    head(stream, "404 Not Found", 0, "");
}

fn moved(stream: &mut TcpStream, _: &Request, _: &[u8]) {
    head(stream, "302 Found", 0, "Location: /elsewhere\r\n");
}

fn outside_range(stream: &mut TcpStream, _: &Request, _: &[u8]) {
    head(stream, "416 Range Not Satisfiable", 0, "");
}

fn huge(stream: &mut TcpStream, _: &Request, _: &[u8]) {
    head(stream, "200 OK", 1 << 40, "");
}

/// Content whose bytes differ, so that a gap or a repetition is noticed.
fn content() -> Vec<u8> {
    (0..300_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Without a proxy, whatever the environment says.
fn direct() -> Connection {
    Connection { proxy: None, timeout: Duration::from_secs(20) }
}

/// Downloads and returns the content of the partial file.
fn transfer(folder: &Path, address: &str) -> Result<Vec<u8>, FetchError> {
    let part = receive_file(&folder.join("file.pth"))?;
    download(address, &part, &direct())?;
    Ok(std::fs::read(&part.path).unwrap())
}

/// The first digits of the digest of [`content`].
fn digits() -> String {
    Digest::of(&content()).to_string()[..8].to_owned()
}

#[test]
fn a_file_is_received_whole_also_after_a_redirect() {
    for answers in [&[whole as Answer][..], &[moved, whole]] {
        let folder = tempfile::tempdir().unwrap();
        let (address, requests) = serve(content(), answers);
        assert_eq!(transfer(folder.path(), &format!("{address}/file.pth")).unwrap(), content());
        let last = requests.lock().unwrap().last().unwrap().first.clone();
        assert_eq!(last.contains("/elsewhere"), answers.len() == 2, "{last}");
    }
}

#[test]
fn a_download_that_broke_off_is_continued_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (address, requests) = serve(content(), &[half, rest]);
    let error = transfer(folder.path(), &address).unwrap_err();
    assert!(matches!(error, FetchError::BrokenOff { received: 150_000, .. }), "{error}");
    assert_eq!(transfer(folder.path(), &address).unwrap(), content());
    assert_eq!(requests.lock().unwrap()[1].from, 150_000);
}

#[test]
fn a_server_that_cannot_continue_sends_the_file_again() {
    for answers in [&[half as Answer, whole][..], &[half, outside_range, whole]] {
        let folder = tempfile::tempdir().unwrap();
        let (address, _) = serve(content(), answers);
        transfer(folder.path(), &address).unwrap_err();
        assert_eq!(transfer(folder.path(), &address).unwrap(), content());
    }
}

#[test]
fn an_error_of_the_server_and_a_huge_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (address, _) = serve(content(), &[not_found, huge]);
    let error = transfer(folder.path(), &address).unwrap_err();
    assert!(matches!(&error, FetchError::Server { message, .. } if message.contains("404")), "{error}");
    let error = transfer(folder.path(), &address).unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { found: 1_099_511_627_776, .. }), "{error}");
    let nobody = "http://127.0.0.1:1/file";
    assert!(matches!(transfer(folder.path(), nobody), Err(FetchError::Server { .. })));
}

#[test]
fn a_file_with_another_digest_is_refused_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backbone/resnet34-b627a593.pth");
    let (address, _) = serve(content(), &[whole]);
    let other = folder.path().join("other.pth");
    std::fs::write(&other, content()).unwrap();
    for source in [Source::Address(address), Source::File(other)] {
        let error = fetch_to(&path, &source, IMAGENET, &direct()).unwrap_err();
        assert!(matches!(&error, FetchError::Digest { found, .. } if *found == Digest::of(&content())), "{error}");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0, "nothing remains");
    }
    let from = |name: &str| {
        let source = Source::File(folder.path().join(name));
        fetch_to(&path, &source, IMAGENET, &direct()).unwrap_err()
    };
    assert!(matches!(from("absent.pth"), FetchError::Read { .. }));
    assert!(matches!(from("."), FetchError::NoFile { .. }));
}

#[test]
fn a_download_that_broke_off_is_stored_in_the_end_with_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resnet34.pth");
    let (address, requests) = serve(content(), &[half, moved, rest]);
    let fetch = || fetch_to(&path, &Source::Address(address.clone()), &digits(), &direct());
    assert!(matches!(fetch(), Err(FetchError::BrokenOff { .. })));
    let digest = Digest::of(&content());
    assert_eq!(fetch().unwrap(), Fetched { path: path.clone(), digest, existed: false });
    assert_eq!(requests.lock().unwrap()[2].from, 150_000, "the range is kept over the redirect");
    assert_eq!(std::fs::read(&path).unwrap(), content());
    let noted = path.with_added_extension("sha256");
    assert_eq!(std::fs::read_to_string(&noted).unwrap(), format!("{digest}  resnet34.pth\n"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no partial file remains");
    std::fs::remove_file(&noted).unwrap();
    assert!(fetch().unwrap().existed && noted.exists());
}

#[test]
fn a_continued_download_of_a_changed_file_is_repeated_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resnet34.pth");
    std::fs::write(path.with_added_extension("part"), [7; 1000]).unwrap();
    let (address, requests) = serve(content(), &[rest, whole]);
    fetch_to(&path, &Source::Address(address), &digits(), &direct()).unwrap();
    assert_eq!(requests.lock().unwrap()[1].from, 0);
}

#[test]
fn an_answer_that_starts_elsewhere_is_not_appended() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere: Answer = |stream, _, content| {
        head(stream, "206 Partial Content", 10, "Content-Range: bytes 5-14/300000\r\n");
        stream.write_all(&content[5..15]).unwrap();
    };
    let answers: &'static [Answer] = Vec::leak(vec![half as Answer, elsewhere, whole]);
    let (address, _) = serve(content(), answers);
    transfer(folder.path(), &address).unwrap_err();
    assert_eq!(transfer(folder.path(), &address).unwrap(), content());
}

#[test]
fn a_server_that_stops_sending_breaks_the_download_off() {
    let folder = tempfile::tempdir().unwrap();
    let stall: Answer = |stream, request, content| {
        half(stream, request, content);
        std::thread::sleep(Duration::from_secs(20));
    };
    let (address, _) = serve(content(), Vec::leak(vec![stall]));
    let part = receive_file(&folder.path().join("file.pth")).unwrap();
    let connection = Connection { proxy: None, timeout: Duration::from_millis(300) };
    let error = download(&address, &part, &connection).map(|_| ()).unwrap_err();
    assert!(matches!(error, FetchError::BrokenOff { received: 150_000, .. }), "{error}");
}

#[test]
fn the_proxy_is_used() {
    let tunnel: Answer = |stream, request, content| {
        assert_eq!(request.first, "CONNECT weights.invalid:80 HTTP/1.1");
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let head = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        assert!(head.take_while(|line| !line.is_empty()).any(|line| line.starts_with("GET /file")));
        whole(stream, request, content);
    };
    let refused: Answer = |stream, _, _| head(stream, "407 Proxy Authentication Required", 0, "");
    let (proxy, _) = serve(content(), Vec::leak(vec![tunnel, refused]));
    let folder = tempfile::tempdir().unwrap();
    let connection = Connection { proxy: Some(ureq::Proxy::new(&proxy).unwrap()), timeout: Duration::from_secs(20) };
    // The name can't be resolved, so only the proxy can answer.
    let get = |name: &str| {
        let part = receive_file(&folder.path().join(name)).unwrap();
        download("http://weights.invalid/file", &part, &connection).map(|_| std::fs::read(&part.path).unwrap())
    };
    assert_eq!(get("a").unwrap(), content());
    assert!(matches!(get("b"), Err(FetchError::Server { .. })));
}

#[test]
fn two_downloads_do_not_write_into_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.pth");
    let _first = receive_file(&path).unwrap();
    assert!(matches!(receive_file(&path), Err(FetchError::Busy { .. })));
}

#[test]
fn an_existing_file_is_checked_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resnet34-b627a593.pth");
    std::fs::write(&path, content()).unwrap();
    let error = fetch_to(&path, &Source::Address(ADDRESS.into()), IMAGENET, &direct()).unwrap_err();
    assert!(matches!(error, FetchError::Stored { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), content());
}
