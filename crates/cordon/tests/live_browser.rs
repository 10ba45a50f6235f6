//! A browser behind cordon, as its user sees it: headless Chromium that trusts cordon's certificate as an administrator
//! would have told it, in the database of its user.

#[expect(dead_code, reason = "other live tests use the rest")]
mod lab;
#[path = "lab/sites.rs"]
#[expect(dead_code, reason = "the failure table uses the rest")]
mod sites;

use std::{
    fmt::Write as _,
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use lab::{Lab, Outcome, on, text, within};
use ports::live::Namespace;
use sites::{GOOD, Site, Sites, UNKNOWN};

/// The demo's, but what nobody vouches for is shown to the client as that, by the other authority, and not blocked.
const CONFIG: &str = include_str!("../examples/live_decryption.toml");
const IMAGES: usize = 12;
/// Where the browser talks to debuggers, in its own namespace.
const DEBUGGING: u16 = 9222;
/// A pixel.
const PIXEL: &[u8] = b"GIF89a\x01\0\x01\0\x80\x01\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02L\x01\0;";
/// Tells in its title what the browser thinks of how it came.
const PAGE: &str = r#"<!DOCTYPE html><title>loading</title><body><script>
addEventListener("load", () => {
  const images = [...document.images].filter(image => image.complete && image.naturalWidth === 1).length;
  const from = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  const protocols = [...new Set(from.map(entry => entry.nextHopProtocol))].sort().join(",");
  document.title = `${images} images over ${protocols}, secure ${isSecureContext}`;
});
</script>"#;

#[test]
fn a_browser_trusts_what_cordon_vouches_for_and_warns_of_what_nobody_does() -> Outcome<()> {
    if !Namespace::permitted()? {
        eprintln!("skipped: needs root");
        return Ok(());
    }
    if let Some(missing) = missing() {
        if std::env::var("CORDON_REQUIRE_LIVE").is_ok_and(|value| value == "1") {
            return Err(format!("CORDON_REQUIRE_LIVE is set, but {missing} is not installed").into());
        }
        eprintln!("skipped: {missing} is not installed");
        return Ok(());
    }
    let config = CONFIG.replace(
        "block-untrusted-issuer    = true",
        "block-untrusted-issuer    = false",
    );
    assert_ne!(config, CONFIG);
    let mut lab = Lab::new(Path::new(env!("CARGO_BIN_EXE_cordon")), &config, &[])?;
    let sites = Sites::serve(&lab, &[GOOD, UNKNOWN])?;
    write_pages(&lab)?;
    lab.start()?;
    let browser = Browser::new(&lab)?;

    let good = format!("{IMAGES} images over h2, secure true");
    browser.shows(GOOD, "/files/page.html", &good)?;
    is_recorded_as(&lab, GOOD, "Trusted")?;
    browser.shows(UNKNOWN, "/files/page.html", "Privacy error")?;
    is_recorded_as(&lab, UNKNOWN, "Untrusted")?;
    drop(sites);
    assert_eq!(lab.stop()?, Some(0));
    Ok(())
}

/// What Debian calls the first program that is not there.
fn missing() -> Option<&'static str> {
    let absent = |program: &str| {
        let asked = Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .stdout(Stdio::null())
            .status();
        !asked.is_ok_and(|status| status.success())
    };
    [("chromium", "chromium"), ("certutil", "libnss3-tools")]
        .into_iter()
        .find_map(|(program, package)| absent(program).then_some(package))
}

fn write_pages(lab: &Lab) -> Outcome<()> {
    let folder = lab.file("sites").join("files");
    fs::create_dir(&folder)?;
    let mut page = PAGE.to_owned();
    for number in 0..IMAGES {
        fs::write(folder.join(format!("{number}.gif")), PIXEL)?;
        write!(page, "<img src=\"{number}.gif\">")?;
    }
    fs::write(folder.join("page.html"), page)?;
    // nginx serves it as a user of its own.
    for path in [lab.folder.path(), &lab.file("sites"), &folder] {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    Ok(())
}

/// The last record of decryption says so of a site's chain. Records are stored a moment after what they tell.
fn is_recorded_as(lab: &Lab, site: Site, status: &str) -> Outcome<()> {
    let filter = format!("(addr.dst in {})", site.address);
    within(Duration::from_secs(5), status, || {
        let answer = lab
            .ask(&["show", "logs", "decryption", &filter])
            .unwrap_or_default();
        answer["logs"][0]["chain_status"] == status
    })
}

/// On the healthy host, with a home of its own.
struct Browser<'a> {
    lab: &'a Lab,
    home: PathBuf,
}

impl<'a> Browser<'a> {
    fn new(lab: &'a Lab) -> Outcome<Self> {
        let home = lab.file("home");
        let database = home.join(".pki/nssdb");
        fs::create_dir_all(&database)?;
        let authority = lab.file("cordon.pem");
        let exported = Command::new(env!("CARGO_BIN_EXE_cordon"))
            .args(["ca", "export", "--state"])
            .arg(lab.file("state"))
            .output()?;
        fs::write(&authority, exported.stdout)?;
        let database = format!("sql:{}", database.display());
        let file = authority.to_string_lossy();
        let add = ["-A", "-d", &database, "-n", "cordon", "-t", "C,,", "-i", &file];
        for arguments in [["-N", "-d", &database, "--empty-password"].as_slice(), &add] {
            let output = on(&lab.healthy, "certutil", arguments)?;
            if !output.status.success() {
                let told = String::from_utf8_lossy(&output.stderr);
                return Err(format!("certutil {}: {told}", arguments.join(" ")).into());
            }
        }
        Ok(Self { lab, home })
    }

    /// Opens a page and waits until its window has this title.
    fn shows(&self, site: Site, path: &str, title: &str) -> Outcome<()> {
        let profile = self.home.join(site.name);
        let child = self
            .lab
            .healthy
            .command("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking"])
            .args([
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
            ])
            .arg(format!("--remote-debugging-port={DEBUGGING}"))
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!(
                "--host-resolver-rules=MAP {} {}",
                site.name, site.address
            ))
            .arg(format!("https://{}{path}", site.name))
            .env("HOME", &self.home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.lab.file("browser.log"))?)
            .process_group(0)
            .spawn()?;
        let window = Window(child);
        let mut last = String::new();
        let shown = within(Duration::from_mins(1), title, || {
            last = self.titles().unwrap_or_default();
            last.contains(&format!("\"title\": \"{title}\""))
        });
        drop(window);
        shown.map_err(|error| {
            let told = fs::read_to_string(self.lab.file("browser.log")).unwrap_or_default();
            format!("{error}\n{last}\n{told}").into()
        })
    }

    /// What windows there are, as the browser tells its debuggers.
    fn titles(&self) -> Outcome<String> {
        let url = format!("http://127.0.0.1:{DEBUGGING}/json/list");
        Ok(text(&on(
            &self.lab.healthy,
            "curl",
            &["-s", "--max-time", "2", &url],
        )?))
    }
}

/// A browser, which is several processes of one group.
struct Window(Child);

impl Drop for Window {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        // Gone already: all the better.
        drop(Command::new("kill").args(["-9", "--", &group]).status());
        drop(self.0.wait());
    }
}
