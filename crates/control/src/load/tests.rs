//! Configurations in a folder of their own, with the files they refer to.

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

const WIRE: &str = r#"
[virtual-wire.uplink]
interface1 = "lan0"
interface2 = "wan0"
[zone.inside]
interfaces = ["lan0"]
[zone.outside]
interfaces = ["wan0"]
"#;

/// A list of domain names from `url`, and a profile that uses it.
fn with_list(url: &str) -> String {
    format!(
        r#"{WIRE}
        [external-list.names]
        type = "domain"
        url = "{url}"
        [profiles.spyware.all]
        botnet-domains.sinkhole.ipv4-address = "192.0.2.1"
        [[profiles.spyware.all.botnet-domains.lists]]
        name = "names"
        action = "sinkhole"
        [[rulebase.security.rules]]
        name = "all"
        from = ["any"]
        to = ["any"]
        source = ["any"]
        destination = ["any"]
        application = ["any"]
        service = ["any"]
        action = "allow"
        profile-setting.profiles.spyware = ["all"]
        "#
    )
}

/// The same wire with a decryption rule for a category of the folder `categories`.
fn with_category(category: &str) -> String {
    format!(
        r#"{WIRE}
        [setting.url-categories]
        directory = "categories"
        [[rulebase.decryption.rules]]
        name = "closed"
        from = ["any"]
        to = ["any"]
        source = ["any"]
        destination = ["any"]
        category = ["{category}"]
        action = "no-decrypt"
        "#
    )
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    fn load(&self) -> Loaded {
        load(&self.path("fw.toml"), &TagNames::new(), None, 0)
    }

    /// The findings, without the folder's name in front.
    fn findings(&self) -> Vec<String> {
        let folder = format!("{}/", self.0.path().display());
        let findings = self.load().findings;
        findings
            .iter()
            .map(|finding| finding.to_string().replace(&folder, ""))
            .collect()
    }
}

#[test]
fn lists_begin_at_the_folder_of_the_configuration() {
    let folder = Folder::new();
    folder
        .put("fw.toml", with_list("file:lists/names.txt"))
        .put("lists/names.txt", "listed.example\n");
    let loaded = folder.load();
    assert_eq!(loaded.findings, []);
    let running = loaded.running.unwrap();
    assert!(
        !running
            .domains
            .set()
            .lookup(&"listed.example".parse().unwrap())
            .is_empty()
    );
    assert_eq!(running.lists[0].entries, 1);

    let absolute = format!("file:{}", folder.path("lists/names.txt").display());
    assert!(
        folder
            .put("fw.toml", with_list(&absolute))
            .load()
            .running
            .is_some()
    );
}

#[test]
fn a_list_that_cannot_be_read_is_an_error_at_its_url() {
    let folder = Folder::new();
    folder.put("fw.toml", with_list("file:lists/names.txt"));
    let message = |found: &str| format!("fw.toml:12:15: error: `names`: lists/names.txt: {found}");
    assert_eq!(
        folder.findings(),
        [message("cannot be read: there is no such file")]
    );
    assert!(folder.load().running.is_none());
    folder.put("lists/names.txt/x", "");
    assert_eq!(folder.findings(), [message("is no regular file")]);
    folder.put("fw.toml", with_list("file:/dev/zero"));
    assert_eq!(
        folder.findings(),
        ["fw.toml:12:15: error: `names`: /dev/zero: is no regular file"]
    );
}

#[test]
fn a_list_of_the_web_waits_for_a_running_firewall() {
    let folder = Folder::new();
    folder.put("fw.toml", with_list("https://lists.example/names.txt"));
    let findings = folder.findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(
        findings[0].starts_with("fw.toml:12:15: warning: "),
        "{findings:?}"
    );
    assert!(
        findings[0].contains("fetched by a running firewall"),
        "{findings:?}"
    );
    assert!(folder.load().running.is_some());
}

#[test]
fn strange_bytes_cost_a_list_their_line() {
    let folder = Folder::new();
    folder
        .put("fw.toml", with_list("file:names.txt"))
        .put("names.txt", b"a.example\n\xff\xfe\nb.example\n");
    let running = folder.load().running.unwrap();
    assert_eq!((running.lists[0].entries, running.lists[0].invalid), (2, 1));
}

#[test]
fn categories_are_folders() {
    let folder = Folder::new();
    folder
        .put("fw.toml", with_category("shopping"))
        .put("categories/shopping/domains", "shop.example\n");
    let running = folder.load().running.unwrap();
    let categories = running.policy.categorize(&"shop.example".parse().unwrap());
    assert!(!categories.is_empty());

    folder.put("fw.toml", with_category("shoping"));
    let findings = folder.findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(
        findings[0].ends_with("nearest valid name: `shopping`"),
        "{findings:?}"
    );
}

#[test]
fn a_configuration_that_cannot_be_read_is_one_finding() {
    let folder = Folder::new();
    assert_eq!(
        folder.findings(),
        ["fw.toml:1:1: error: cannot be read: there is no such file"]
    );
    folder.put("fw.toml", b"a = 1\nb\xc3\xbc = \"\xff\"\n");
    assert_eq!(
        folder.findings(),
        ["fw.toml:2:7: error: this byte is not UTF-8, which TOML is written in"]
    );
    assert!(folder.load().running.is_none());
}
