//! Tests the download against a server on this machine. The file has the right digest only by its first digits, so the tests use
//! their own: they check the transfer, and that a file with another digest is refused.

use super::*;
use crate::network::weights::fetch::download::receive_file;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

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

/// Downloads and returns the content of the partial file.
fn transfer(folder: &Path, address: &str) -> Result<Vec<u8>, FetchError> {
    let part = receive_file(&folder.join("file.pth"))?;
    download(address, &part)?;
    Ok(std::fs::read(&part.path).unwrap())
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
    let FetchError::BrokenOff { received, expected, .. } = error else { panic!("{error}") };
    assert_eq!((received, expected), (150_000, 300_000));
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
        let error = fetch_to(&path, &source).unwrap_err();
        assert!(matches!(&error, FetchError::Digest { found, .. } if *found == Digest::of(&content())), "{error}");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0, "nothing remains");
    }
    let missing = fetch_to(&path, &Source::File(folder.path().join("absent.pth"))).unwrap_err();
    assert!(matches!(missing, FetchError::Read { .. }), "{missing}");
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
    let error = fetch_to(&path, &Source::Address(ADDRESS.into())).unwrap_err();
    assert!(matches!(error, FetchError::Digest { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), content());
}
