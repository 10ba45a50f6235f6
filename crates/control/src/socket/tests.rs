mod hostile;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use super::*;
use crate::{Command, CommandError, ErrorCode, Show};

/// A firewall that remembers who asked what.
#[derive(Default)]
struct Fake {
    asked: Mutex<Vec<(String, Command)>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Answer for Fake {
    fn answer(&self, admin: &str, command: Command) -> Result<Value, CommandError> {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let answered = if let Command::Show(Show::Group(name)) = &command {
            group(name)
        } else {
            Ok(json!({ "did": command.to_string(), "odd": "\u{9b}\u{7f}\n" }))
        };
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        self.asked.lock().unwrap().push((admin.to_owned(), command));
        answered
    }
}

fn group(name: &str) -> Result<Value, CommandError> {
    match name {
        "panic" => panic!("as asked"),
        "slow" => {
            std::thread::sleep(Duration::from_millis(30));
            Ok(json!({ "name": name }))
        }
        "long" => Ok(json!({ "members": vec!["x".repeat(1000); 200], "truncated": false })),
        _ => {
            let error = CommandError::new(ErrorCode::NotFound, format!("there is no group `{name}`"));
            Err(error.with_details(vec!["a".to_owned()]))
        }
    }
}

struct Running {
    folder: tempfile::TempDir,
    fake: Arc<Fake>,
    server: Server,
}

impl Running {
    fn new(limits: ServerLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fake = Arc::new(Fake::default());
        let sockets = Sockets::bind(&folder.path().join("cordon.sock")).unwrap();
        let server = sockets.serve(fake.clone(), limits).unwrap();
        Self { folder, fake, server }
    }

    fn stats(&self) -> PathBuf {
        self.folder.path().join("cordon.sock")
    }

    fn control(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    fn ask(&self, line: &str) -> Result<Value, AskError> {
        ask(&self.stats(), &Command::parse(line).unwrap())
    }
}

/// A client that sends bytes.
struct Raw(BufReader<UnixStream>);

impl Raw {
    fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn ask(&mut self, line: &str) -> Value {
        self.send(format!("{line}\n").as_bytes());
        self.line()
    }

    /// Whether the server has closed; data it never read makes that a reset.
    fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => rest.is_empty(),
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

fn me() -> String {
    let uid = nix::unistd::Uid::current();
    nix::unistd::User::from_uid(uid)
        .unwrap()
        .map_or(uid.to_string(), |user| user.name)
}

#[test]
fn answers_on_the_socket_that_may() {
    let running = Running::new(ServerLimits::default());
    let answer = running.ask("tag add 10.0.0.1 infected-host").unwrap();
    assert_eq!(answer["did"], "tag add --timeout 0 -- 10.0.0.1 infected-host");
    assert_eq!(answer["odd"], "\u{9b}\u{7f}\n");
    let (admin, command) = running.fake.asked.lock().unwrap()[0].clone();
    assert_eq!(admin, me(), "the peer's user, from the kernel");
    assert_eq!(command, Command::parse("tag add 10.0.0.1 infected-host").unwrap());

    let mut client = Raw::connect(&running.stats());
    let refused = client.ask("tag add 10.0.0.1 infected-host");
    assert_eq!(refused["error"]["code"], "not-allowed");
    let says = refused["error"]["message"].as_str().unwrap();
    assert!(
        says.ends_with(&format!("ask {}", running.control().display())),
        "{says}"
    );
    assert_eq!(
        running.fake.asked.lock().unwrap().len(),
        1,
        "the firewall was not even asked"
    );

    let mut client = Raw::connect(&running.control());
    assert!(
        client.ask("show info")["did"].is_string(),
        "the control socket answers all"
    );
}

#[test]
fn one_line_one_document() {
    let running = Running::new(ServerLimits::default());
    let mut client = Raw::connect(&running.stats());
    client.send(b"show info\nshow rules\r\nfrobnicate\n\n\xff\nshow group 'a b'\nhelp\n");
    assert_eq!(client.line()["did"], "show info");
    assert_eq!(client.line()["did"], "show rules");
    for _ in 0..3 {
        assert_eq!(client.line()["error"]["code"], "usage");
    }
    assert_eq!(
        client.line(),
        json!({"error": {"code": "not-found", "message": "there is no group `a b`", "details": ["a"]}})
    );
    assert!(client.line()["commands"].as_array().unwrap().len() > 20);
    // A last line without its end is a command, too.
    client.send(b"show lists");
    client.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.line()["did"], "show lists");
    assert!(client.is_closed());
}

#[test]
fn lines_do_nothing_to_a_terminal() {
    let running = Running::new(ServerLimits::default());
    let mut client = Raw::connect(&running.stats());
    client.send(b"show info\n");
    let mut line = String::new();
    client.0.read_line(&mut line).unwrap();
    assert_eq!(line, "{\"did\":\"show info\",\"odd\":\"\\u009b\\u007f\\n\"}\n");
}

#[test]
fn filter_fields_need_no_firewall() {
    let running = Running::new(ServerLimits::default());
    let answer = running.ask("show filter-fields threat").unwrap();
    assert_eq!(answer["type"], "threat");
    let fields = answer["fields"].as_array().unwrap();
    let severity = fields.iter().find(|field| field["field"] == "severity").unwrap();
    assert!(
        severity["operators"].as_array().unwrap().contains(&json!("geq")),
        "{severity}"
    );
    assert!(
        severity["values"]
            .as_array()
            .unwrap()
            .contains(&json!("critical")),
        "{severity}"
    );
    assert!(running.fake.asked.lock().unwrap().is_empty());
}

#[test]
fn a_fault_inside_costs_one_answer() {
    let running = Running::new(ServerLimits::default());
    let Err(AskError::Refused(error)) = running.ask("show group panic") else {
        panic!("a panic is no answer");
    };
    assert_eq!(error.code, ErrorCode::Internal);
    assert!(running.ask("show info").is_ok());
}

#[test]
fn files_have_their_permissions_and_go_with_the_server() {
    let running = Running::new(ServerLimits::default());
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(running.stats()), 0o660);
    assert_eq!(mode(running.control()), 0o600);
    let Running { folder, server, .. } = running;
    server.stop();
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );
}

#[test]
fn a_live_socket_is_refused_and_a_stale_one_replaced() {
    let running = Running::new(ServerLimits::default());
    let path = running.stats();
    let refused = Sockets::bind(&path).unwrap_err();
    assert!(matches!(refused, BindError::InUse(_)), "{refused}");
    assert!(
        refused.to_string().starts_with("another cordon runs on "),
        "{refused}"
    );
    assert!(running.ask("show info").is_ok(), "the live one is unharmed");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/cordon.sock");
    // What a killed process leaves: files, and no lock.
    std::fs::create_dir(folder.path().join("new")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    drop(std::os::unix::net::UnixListener::bind(path.with_file_name("control.sock")).unwrap());
    std::fs::write(path.with_file_name("control.lock"), "").unwrap();
    let Err(AskError::NobodyThere(_)) = ask(&path, &Command::Help) else {
        panic!("nobody is there");
    };
    let sockets = Sockets::bind(&path).unwrap();
    let server = sockets
        .serve(Arc::new(Fake::default()), ServerLimits::default())
        .unwrap();
    assert!(ask(&path, &Command::Help).is_ok());
    drop(server);
    let Err(AskError::NoSocket(_)) = ask(&path, &Command::Help) else {
        panic!("the files are gone");
    };
}

#[test]
fn what_is_no_socket_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cordon.sock");
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(Sockets::bind(&path), Err(BindError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    assert!(matches!(
        Sockets::bind(&folder.path().join("control.sock")),
        Err(BindError::Name(_))
    ));
    assert!(matches!(Sockets::bind(Path::new("/")), Err(BindError::Name(_))));
    let long = folder.path().join("x".repeat(120)).join("cordon.sock");
    assert!(matches!(Sockets::bind(&long), Err(BindError::Io { .. })));
}

#[test]
fn waits_for_nobody_who_came_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cordon.sock");
    let sockets = Sockets::bind(&path).unwrap();
    let mut early = Raw::connect(&path);
    early.send(b"show info\n");
    let _server = sockets
        .serve(Arc::new(Fake::default()), ServerLimits::default())
        .unwrap();
    assert_eq!(early.line()["did"], "show info");
}
