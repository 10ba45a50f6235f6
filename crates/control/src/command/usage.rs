//! The commands, for people.

use super::Privilege;

/// One command as `help` lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// How it is written.
    pub words: &'static str,
    /// Which socket runs it.
    pub privilege: Privilege,
    /// What it does.
    pub does: &'static str,
}

impl Usage {
    /// Every command.
    pub const ALL: &'static [Self] = &[
        read("help", "lists the commands"),
        read("show info", "version, configuration, interfaces, health"),
        read("show counters", "every counter"),
        read("show sessions ['FILTER'] [--limit N]", "open sessions"),
        read(
            "show tags [--limit N]",
            "registered tags, their deadlines and causes",
        ),
        read("show groups", "address groups"),
        read("show group NAME", "the members of an address group"),
        read("show rules", "security and decryption rules, in order"),
        read("show lists", "domain and address lists"),
        read(
            "show logs TYPE ['FILTER'] [--limit N]",
            "stored records, newest first",
        ),
        read("show bypass", "what is exempt from decryption for now"),
        read(
            "show filter-fields TYPE",
            "what a filter over a type of record can ask",
        ),
        read("show commits", "committed configurations, newest first"),
        read("explain SUBJECT", "why an address carries its tags"),
        read("test WHAT …", "which rule, list or record would match, and why"),
        write("tag add SUBJECT TAG [--timeout MIN]", "registers a tag"),
        write("tag remove SUBJECT TAG", "removes a tag"),
        write(
            "commit PATH [--confirm-within 10m] [--comment TEXT]",
            "puts a configuration in force",
        ),
        write("diff [PATH] [--from N]", "what a commit would change"),
        write("diff [--from N] --to N", "what differs between two commits"),
        write("rollback [N]", "puts the configuration of N commits ago in force"),
        write("rollback --to N", "puts the configuration of commit N in force"),
        write("confirm", "keeps a commit that waits to be confirmed"),
        write("clear session all|ID|'FILTER'", "ends sessions"),
        write(
            "clear rule-hits all|NAME",
            "counts the hits of rules from nothing",
        ),
        write(
            "clear exclude-cache",
            "decrypts again what was left closed because it does not fit the proxy",
        ),
        write(
            "pause tagging|decryption --for 10m",
            "holds one of them still; --for 0s goes on at once",
        ),
    ];

    /// Those that begin with these words.
    pub fn of(words: &str) -> impl Iterator<Item = &'static Self> {
        Self::ALL.iter().filter(move |usage| {
            let rest = usage.words.strip_prefix(words);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
    }
}

const fn read(words: &'static str, does: &'static str) -> Usage {
    Usage {
        words,
        privilege: Privilege::Read,
        does,
    }
}

const fn write(words: &'static str, does: &'static str) -> Usage {
    Usage {
        words,
        privilege: Privilege::Write,
        does,
    }
}
