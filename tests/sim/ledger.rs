//! What was said, what was answered, and who saw what; and whether that is as promised.

use std::collections::{BTreeMap, BTreeSet};

use obrolan::{
    Time,
    client::{Content, Message},
};

use crate::network::LinkId;

/// The moment of an event, counted.
pub(crate) type Step = u64;

/// How long a dedupe key is remembered (protocol, section 1), in milliseconds.
const DEDUPE: u64 = 24 * 3_600_000;

/// To whom a message goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum To {
    User(usize),
    Group(String),
}

/// A message that somebody wants to send, however often that takes.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) from: usize,
    pub(crate) to: To,
    /// What is sent: a text, or the content of a file.
    pub(crate) text: String,
    pub(crate) is_file: bool,
    pub(crate) keyed: bool,
    begun: Step,
    attempts: Vec<Attempt>,
    /// The id it was answered with.
    ok: Option<u64>,
    /// All ids it is known by.
    ids: BTreeSet<u64>,
}

/// A request that was made, on one connection after another until it was answered.
#[derive(Debug, Default)]
struct Attempt {
    links: BTreeSet<LinkId>,
    refused: bool,
}

/// A request that changes who is in a group.
struct Membership {
    joins: bool,
    begun: Step,
    links: BTreeSet<LinkId>,
    /// When it was known to be so, and on which connection.
    known: Option<(Step, LinkId)>,
}

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) step: Step,
    sendings: Vec<Sending>,
    /// When the engine took the message of each id, by the steps and by the latest time that its clock has ever shown.
    accepted: BTreeMap<u64, (Step, Time)>,
    /// Which of `sendings` each id belongs to.
    owners: BTreeMap<u64, usize>,
    latest: Time,
    memberships: BTreeMap<(usize, String), Vec<Membership>>,
    /// Who has seen which ids.
    seen: BTreeMap<usize, BTreeSet<u64>>,
    /// The last id that each user was answered.
    last: BTreeMap<usize, u64>,
    /// When connections could carry nothing to the server any more.
    dead: BTreeMap<LinkId, Step>,
    /// Up to here, the store may have kept what it had refused.
    undead: Step,
}

/// How a message is named in its own text.
pub(crate) fn text(number: usize, padding: &str) -> String {
    format!("pesan-{number} \"é\" {padding}.")
}

/// The name of a file that is sent as message `number`.
pub(crate) fn file_name(number: usize) -> String {
    format!("pesan-{number}.txt")
}

fn number(text: &str) -> Option<usize> {
    let digits = text.split_once("pesan-")?.1;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

impl Ledger {
    pub(crate) fn next_number(&self) -> usize {
        self.sendings.len()
    }

    pub(crate) fn sending(&self, number: usize) -> &Sending {
        &self.sendings[number]
    }

    pub(crate) fn begin(&mut self, from: usize, to: To, text: String, is_file: bool, keyed: bool) {
        let (begun, attempts, ids) = (self.step, Vec::new(), BTreeSet::new());
        self.sendings.push(Sending { from, to, text, is_file, keyed, begun, attempts, ok: None, ids });
    }

    /// A message is tried to be sent, for the first time or again.
    pub(crate) fn attempted(&mut self, number: usize) {
        self.sendings[number].attempts.push(Attempt::default());
    }

    /// It may go over this connection.
    pub(crate) fn goes_over(&mut self, number: usize, link: LinkId) {
        self.sendings[number].attempts.last_mut().expect("it is attempted").links.insert(link);
    }

    /// It was answered OK.
    pub(crate) fn sent(&mut self, number: usize, id: u64) {
        self.owns(id, number);
        let sending = &mut self.sendings[number];
        assert!(sending.ok.replace(id).is_none(), "{sending:?} is answered twice");
        let last = self.last.entry(sending.from).or_default();
        let [attempt] = &sending.attempts[..] else { return };
        // With a key, it may have been done long before the answer came.
        assert!(
            id > *last || sending.keyed && attempt.links.len() > 1,
            "{id} is answered after {last}: {sending:?}"
        );
        *last = id.max(*last);
    }

    /// It was answered with an error: it was not done on that connection.
    pub(crate) fn refused(&mut self, number: usize) {
        self.sendings[number].attempts.last_mut().expect("it is attempted").refused = true;
    }

    /// The engine took a message, which may be lost yet.
    pub(crate) fn accepted(&mut self, id: u64, body: &[u8]) {
        let number = number(std::str::from_utf8(body).expect("bodies are ASCII"));
        assert!(number.is_some_and(|number| number < self.sendings.len()), "a message that nobody sent");
        self.accepted.insert(id, (self.step, self.latest));
    }

    /// What the server's clock shows.
    pub(crate) fn clock(&mut self, time: Time) {
        self.latest = self.latest.max(time);
    }

    /// A user asks to be in a group or not; what tells the request later.
    pub(crate) fn begin_membership(&mut self, user: usize, group: &str, joins: bool) -> usize {
        let all = self.memberships.entry((user, group.to_owned())).or_default();
        all.push(Membership { joins, begun: self.step, links: BTreeSet::new(), known: None });
        all.len() - 1
    }

    pub(crate) fn membership_goes_over(&mut self, user: usize, group: &str, at: usize, link: LinkId) {
        self.membership(user, group, at).links.insert(link);
    }

    /// A user was told to be in a group, or not to be.
    pub(crate) fn membership_known(&mut self, user: usize, group: &str, at: usize, link: LinkId) {
        let known = Some((self.step, link));
        self.membership(user, group, at).known = known;
    }

    fn membership(&mut self, user: usize, group: &str, at: usize) -> &mut Membership {
        let all = self.memberships.get_mut(&(user, group.to_owned()));
        &mut all.expect("it was begun")[at]
    }

    pub(crate) fn link_is_dead(&mut self, link: LinkId) {
        self.dead.entry(link).or_insert(self.step);
    }

    /// The store had kept what it had refused: a documented fault of disks that fail and then lose their power.
    pub(crate) fn undead(&mut self) {
        self.undead = self.step;
    }

    /// A user was shown a message. Whether it is of the right form, from whom it says, and for this user; its number.
    pub(crate) fn saw(&mut self, user: usize, names: &[String], message: &Message) -> usize {
        let number = match &message.content {
            Content::Text(text) => number(text),
            Content::File(file) => number(&file.name),
            other => panic!("a content of an unknown kind: {other:?}"),
        };
        let number = number.filter(|number| *number < self.sendings.len());
        let number = number.unwrap_or_else(|| panic!("{} sees what nobody sent: {message:?}", names[user]));
        self.owns(message.id, number);
        let sending = &self.sendings[number];
        let right_content = match &message.content {
            Content::Text(text) => !sending.is_file && *text == sending.text,
            Content::File(file) => {
                sending.is_file && file.size == sending.text.len() as u64 && file.name == file_name(number)
            }
            _ => false,
        };
        assert!(right_content && message.from == names[sending.from], "{message:?} is not {sending:?}");
        let (accepted, _) = self.accepted[&message.id];
        match &sending.to {
            To::User(to) => {
                assert!(
                    message.group.is_none() && message.to == names[*to],
                    "{message:?} is not {sending:?}"
                );
            }
            To::Group(group) => {
                assert_eq!(message.group.as_ref(), Some(group), "{sending:?}");
                assert!(
                    self.may_be_in(user, group, accepted),
                    "{} is not in the group: {message:?}",
                    names[user]
                );
            }
        }
        number
    }

    /// A message came to a user's mailbox, and now to the user.
    pub(crate) fn received(&mut self, user: usize, names: &[String], message: &Message) -> usize {
        let number = self.saw(user, names, message);
        let sending = &self.sendings[number];
        match &sending.to {
            To::User(to) => assert_eq!(*to, user, "{} sees {message:?}", names[user]),
            To::Group(_) => assert_ne!(sending.from, user, "{} is sent the own {message:?}", names[user]),
        }
        self.seen.entry(user).or_default().insert(message.id);
        number
    }

    fn owns(&mut self, id: u64, number: usize) {
        let owner = *self.owners.entry(id).or_insert(number);
        assert_eq!(owner, number, "two messages have the id {id}");
        self.sendings[number].ids.insert(id);
    }

    /// When a request can do nothing any more.
    fn settled(&self, membership: &Membership) -> Step {
        let answered = membership.known.map(|(_, link)| link);
        let others = membership.links.iter().filter(|link| Some(**link) != answered);
        let dead = others.map(|link| self.dead.get(link).copied().unwrap_or(Step::MAX));
        let known = membership.known.map_or(0, |(step, _)| step);
        dead.max().unwrap_or(0).max(known).max(membership.begun)
    }

    /// Whether a user may have been in a group at a step, for all that is known.
    fn may_be_in(&self, user: usize, group: &str, step: Step) -> bool {
        let Some(all) = self.memberships.get(&(user, group.to_owned())) else { return false };
        let undone = |join: &Membership| {
            let settled = self.settled(join);
            all.iter().any(|leave| {
                !leave.joins && leave.begun > settled && leave.known.is_some_and(|(known, _)| known <= step)
            })
        };
        all.iter().any(|join| join.joins && join.begun <= step && !undone(join))
    }

    /// Whether a user was in a group at a step, whatever happened.
    fn is_in(&self, user: usize, group: &str, step: Step) -> bool {
        let Some(all) = self.memberships.get(&(user, group.to_owned())) else { return false };
        let undone = |join: &Membership| {
            all.iter().any(|leave| !leave.joins && leave.begun <= step && self.settled(leave) >= join.begun)
        };
        all.iter()
            .any(|join| join.joins && join.known.is_some_and(|(known, _)| known <= step) && !undone(join))
    }

    /// The ids that are known of the messages that `of` picks.
    pub(crate) fn ids(&self, of: impl Fn(&Sending) -> bool) -> BTreeSet<u64> {
        self.sendings
            .iter()
            .filter(|sending| of(sending))
            .flat_map(|sending| sending.ids.iter().copied())
            .collect()
    }

    /// Everything is at rest: what is promised has come true. Small mailboxes drop messages of groups.
    pub(crate) fn check(&self, users: usize, small_mailboxes: bool) {
        for (number, sending) in self.sendings.iter().enumerate() {
            self.check_effects(number, sending);
        }
        for user in 0..users {
            let none = BTreeSet::new();
            let seen = self.seen.get(&user).unwrap_or(&none);
            let missed: Vec<&Sending> = self
                .sendings
                .iter()
                .filter(|sending| {
                    sending.ok.is_some_and(|id| !seen.contains(&id) && self.is_for(user, sending, id))
                })
                .collect();
            let dropped = |sending: &Sending| small_mailboxes && matches!(sending.to, To::Group(_));
            assert!(missed.iter().all(|sending| dropped(sending)), "user {user} has missed {missed:#?}");
        }
    }

    /// A message was taken as often as it may have been, and with a key once.
    fn check_effects(&self, number: usize, sending: &Sending) {
        let opportunities =
            |attempt: &Attempt| attempt.links.len() - usize::from(attempt.refused).min(attempt.links.len());
        let most: usize = sending.attempts.iter().map(opportunities).sum();
        let excused = sending.begun <= self.undead;
        assert!(excused || sending.ids.len() <= most, "message {number} was taken too often: {sending:#?}");
        let mut times: Vec<Time> = sending.ids.iter().map(|id| self.accepted[id].1).collect();
        times.sort();
        let repeated = times.windows(2).any(|pair| pair[1].since(pair[0]) < DEDUPE);
        assert!(!sending.keyed || !repeated, "message {number} has a key, and was taken twice: {sending:#?}");
    }

    fn is_for(&self, user: usize, sending: &Sending, id: u64) -> bool {
        match &sending.to {
            To::User(to) => *to == user,
            To::Group(group) => sending.from != user && self.is_in(user, group, self.accepted[&id].0),
        }
    }
}
