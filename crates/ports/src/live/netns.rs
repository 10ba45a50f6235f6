//! Network namespaces with veth pairs between them: a network of its own for a test.
#![expect(unsafe_code, reason = "entering a namespace is a system call")]

use std::{
    fs::{self, File},
    io,
    os::fd::AsRawFd,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

/// A network namespace, deleted with all that is in it when this is dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Whether the test may make namespaces; says so where it may not. With `CORDON_REQUIRE_LIVE=1` that is
    /// an error.
    pub fn permitted() -> Result<bool, String> {
        // SAFETY: no arguments, cannot fail.
        if unsafe { libc::geteuid() } == 0 {
            return Ok(true);
        }
        if std::env::var("CORDON_REQUIRE_LIVE").is_ok_and(|value| value == "1") {
            return Err("CORDON_REQUIRE_LIVE is set, but live tests need root".into());
        }
        Ok(false)
    }

    /// Makes a namespace whose name begins with `name` and is like no other's of this machine.
    pub fn create(name: &str) -> io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}-{}-{number}", std::process::id());
        let made = Self { name };
        ip(&["netns", "add", &made.name])?;
        made.ip("link set lo up")?;
        // No router solicitations and the like between what the test sends.
        made.run(|| fs::write("/proc/sys/net/ipv6/conf/default/accept_ra", "0"))??;
        Ok(made)
    }

    /// Its name, for `ip netns exec`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` inside, with arguments that spaces divide.
    pub fn ip(&self, arguments: &str) -> io::Result<()> {
        let mut all = vec!["-n", &self.name];
        all.extend(arguments.split_whitespace());
        ip(&all)
    }

    /// A veth pair: `here` in this namespace, `there` in `other`; both up, of this MTU.
    pub fn veth(&self, here: &str, other: &Self, there: &str, mtu: u32) -> io::Result<()> {
        self.pair(here, other, there, &format!("mtu {mtu}"))
    }

    /// The same, with so many queues each way at each end.
    pub fn veth_with_queues(
        &self,
        here: &str,
        other: &Self,
        there: &str,
        mtu: u32,
        queues: u32,
    ) -> io::Result<()> {
        let how = format!("mtu {mtu} numrxqueues {queues} numtxqueues {queues}");
        self.pair(here, other, there, &how)
    }

    fn pair(&self, here: &str, other: &Self, there: &str, how: &str) -> io::Result<()> {
        let other_name = &other.name;
        self.ip(&format!(
            "link add {here} {how} type veth peer name {there} {how} netns {other_name}"
        ))?;
        self.ip(&format!("link set {here} up"))?;
        other.ip(&format!("link set {there} up"))
    }

    /// A command that runs inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs `what` inside, on a thread of its own. Sockets opened there stay there.
    pub fn run<T: Send>(&self, what: impl FnOnce() -> T + Send) -> io::Result<T> {
        let inside = File::open(format!("/run/netns/{}", self.name))?;
        thread::scope(|scope| {
            let thread = scope.spawn(move || {
                // SAFETY: the descriptor is open; only this thread changes its namespace, and it ends here.
                if unsafe { libc::setns(inside.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                    return Err(io::Error::last_os_error());
                }
                Ok(what())
            });
            match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nothing more can be done where that fails.
        drop(ip(&["netns", "delete", &self.name]));
    }
}

fn ip(arguments: &[&str]) -> io::Result<()> {
    let output = Command::new("ip").args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!(
        "ip {}: {}",
        arguments.join(" "),
        said.trim()
    )))
}
