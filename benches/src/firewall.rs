//! `cordon run` as a process of its own, as an operator starts it.

use std::{
    fs, io,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use ports::live::Namespace;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long it may take to answer after its start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running firewall, and the folder with all that is its own.
#[derive(Debug)]
pub struct Firewall {
    folder: tempfile::TempDir,
    child: Option<Child>,
    pin: Option<usize>,
}

impl Firewall {
    /// A folder with this configuration, and further files beside it. Nothing runs yet.
    pub fn new(config: &str, files: &[(&str, &str)]) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("cordon.toml"), config)?;
        for (name, content) in files {
            fs::write(folder.path().join(name), content)?;
        }
        Ok(Self {
            folder,
            child: None,
            pin: None,
        })
    }

    /// Has its one worker stay on this CPU.
    pub fn pin(&mut self, cpu: usize) {
        self.pin = Some(cpu);
    }

    /// Starts it between `lan0` and `wan0`; returns at once.
    pub fn spawn(&mut self, namespace: &Namespace, workers: usize) -> io::Result<()> {
        let log = fs::File::create(self.file("cordon.log"))?;
        // Built beside the benchmarks.
        let binary = std::env::current_exe()?.with_file_name("cordon");
        let mut command = namespace.command(&binary.to_string_lossy());
        command.arg("run").arg(self.file("cordon.toml"));
        command.arg("--state").arg(self.file("state"));
        command.arg("--socket").arg(self.file("cordon.sock"));
        command.args(["--workers", &workers.to_string()]);
        if let Some(cpu) = self.pin {
            command.args(["--pin", &cpu.to_string()]);
        }
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn()?);
        Ok(())
    }

    /// Starts it and waits until it answers.
    pub fn start(&mut self, namespace: &Namespace, workers: usize) -> io::Result<()> {
        self.spawn(namespace, workers)?;
        self.wait()
    }

    /// Waits until it answers.
    pub fn wait(&self) -> io::Result<()> {
        let began = Instant::now();
        while self.ask("show info").is_err() {
            if began.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.file("cordon.log")).unwrap_or_default();
                return Err(io::Error::other(format!("cordon does not answer\n{log}")));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// What is beside its configuration.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Asks the stats socket.
    pub fn ask(&self, command: &str) -> io::Result<Value> {
        Client::connect(&self.file("cordon.sock"))?.ask(command)
    }

    /// A client of the control socket.
    pub fn control(&self) -> io::Result<Client> {
        Client::connect(&self.file("control.sock"))
    }

    /// Tells it by SIGHUP to read its configuration again; returns at once.
    pub fn hang_up(&self) -> io::Result<()> {
        let child = self
            .child
            .as_ref()
            .ok_or_else(|| io::Error::other("nothing runs"))?;
        Ok(kill_process(Pid::from_child(child), Signal::HUP)?)
    }

    /// Its process, while it runs.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        // Gone already: all the better.
        drop(self.kill());
    }
}

/// A connection to one of its sockets.
#[derive(Debug)]
pub struct Client(BufReader<UnixStream>);

impl Client {
    fn connect(path: &Path) -> io::Result<Self> {
        Ok(Self(BufReader::new(UnixStream::connect(path)?)))
    }

    /// A command and its answer.
    pub fn ask(&mut self, command: &str) -> io::Result<Value> {
        self.send(command)?;
        self.answer()
    }

    /// Sends a command without waiting.
    pub fn send(&mut self, command: &str) -> io::Result<()> {
        self.0.get_mut().write_all(format!("{command}\n").as_bytes())
    }

    /// The next answer; an error is one here.
    pub fn answer(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line)?;
        match answer.get("error") {
            None => Ok(answer),
            Some(error) => Err(io::Error::other(error.to_string())),
        }
    }
}
