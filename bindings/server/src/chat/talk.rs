//! The chat itself: what is typed goes out, what comes in is shown, until the end of the input.

mod act;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use obrolan::{
    client::{Backoff, Client, Event, Response},
    wire::{Code, Request},
};
use smol::{Timer, future};

use super::{
    bar::Bars,
    show::{Asked, Look, named, reason},
    terminal::{Input, Screen},
    transfers::{News, Transfers},
};
use crate::{
    cli::Conversation,
    client::{Attempt, Connection, Lost, attempt},
    config::Address,
};

/// So many requests may wait for answers before the next line is read.
const IN_FLIGHT: usize = 1000;
/// How long a person waits to be told whom the next line is for, before it can be typed all the same.
const TURNING: Duration = Duration::from_secs(2);
/// How long a person who leaves waits for the last answers.
const LEAVING: Duration = Duration::from_secs(3);
/// So many attempts to log in again may fail in a row, for a program.
const ATTEMPTS: u32 = 5;

/// What a chat begins with: a client that is logged in, over this connection.
pub(super) struct Start<'a> {
    pub(super) server: &'a Address,
    pub(super) client: Client,
    pub(super) connection: Connection,
    pub(super) backoff: Backoff,
    pub(super) conversation: Option<Conversation>,
    pub(super) look: Look,
    /// For files on their way, if the screen can show bars.
    pub(super) bars: Option<Bars>,
}

/// A chat under way.
pub(super) struct Chat<'a> {
    server: &'a Address,
    client: Client,
    link: Link<'a>,
    backoff: Backoff,
    /// Since the last login.
    failures: u32,
    look: Look,
    screen: Screen,
    input: Input,
    /// Lines are text for the conversation, whatever they look like.
    verbatim: bool,
    conversation: Option<Conversation>,
    /// So many answers are to come that say whom the next line is for.
    turning: usize,
    /// Lines that wait their turn.
    lines: VecDeque<String>,
    /// What the unanswered requests are for, in their order.
    asked: VecDeque<Asked>,
    transfers: Transfers,
    /// Text that waits to be printed in one go.
    page: String,
    /// The last message shown, and the last that was confirmed or is about to be.
    shown: u64,
    confirmed: u64,
    /// When the input ended.
    ended: Option<Instant>,
    refused: bool,
}

enum Link<'a> {
    Up(Connection),
    Down(Attempt<'a>),
}

/// What happened next.
enum Wake {
    Line(Option<Result<String, String>>),
    Passed(Result<(), Lost>),
    Connected(Result<Connection, String>),
    Interrupted,
    Time,
}

impl<'a> Chat<'a> {
    pub(super) fn new(start: Start<'a>, screen: Screen, input: Input) -> Chat<'a> {
        let Start { server, client, connection, backoff, conversation, look, bars } = start;
        Chat {
            server,
            client,
            link: Link::Up(connection),
            backoff,
            failures: 0,
            look,
            screen,
            input,
            verbatim: look.plain && conversation.is_some(),
            conversation,
            turning: 0,
            lines: VecDeque::new(),
            asked: VecDeque::new(),
            transfers: Transfers::new(bars),
            page: String::new(),
            shown: 0,
            confirmed: 0,
            ended: None,
            refused: false,
        }
    }

    /// Chats until the end of the input. False if something was refused that a program wanted; the error says why
    /// it cannot go on.
    pub(super) async fn run(mut self) -> Result<bool, String> {
        let result = self.talk().await;
        // A bar goes while the editor is there to take it away.
        drop(self.transfers);
        self.input.end().await;
        result
    }

    async fn talk(&mut self) -> Result<bool, String> {
        self.client.subscribe(0);
        self.prompt();
        loop {
            self.take_events()?;
            self.take_lines()?;
            self.confirm();
            self.transfer();
            self.input.set_under_way(!self.transfers.is_empty());
            if self.client.is_finished() {
                self.ended.get_or_insert_with(Instant::now);
            }
            if let Some(result) = self.over() {
                return result;
            }
            match self.wake().await {
                Wake::Line(Some(Ok(line))) => {
                    self.lines.extend(line.split('\n').map(str::to_owned));
                    self.take_lines()?;
                    self.prompt();
                }
                Wake::Line(Some(Err(why))) => self.complain(&why),
                Wake::Line(None) => self.ended = Some(Instant::now()),
                Wake::Passed(Ok(())) => {}
                Wake::Passed(Err(lost)) => {
                    // What came before the end still counts.
                    self.take_events()?;
                    self.lose(&lost.to_string())?;
                }
                Wake::Connected(Ok(connection)) => {
                    self.link = Link::Up(connection);
                    self.client.connected();
                }
                Wake::Connected(Err(why)) => self.reconnect(&why)?,
                Wake::Interrupted => self.stop_files()?,
                Wake::Time => self.look_at_the_clock()?,
            }
        }
    }

    /// Whether it is time to go.
    fn over(&self) -> Option<Result<bool, String>> {
        let ended = self.ended?;
        if self.client.unanswered() == 0 && self.transfers.is_empty() && self.lines.is_empty() {
            return Some(Ok(self.look.is_for_people() || !self.refused));
        }
        let hopeless = matches!(self.link, Link::Down(_)) || ended.elapsed() >= LEAVING;
        (self.look.is_for_people() && hopeless).then(|| {
            if !self.transfers.is_empty() {
                return Err("left before all files were through; send or fetch the last again".to_owned());
            }
            let lost = self.client.unanswered();
            Err(format!("left with {lost} requests unanswered; what you typed last may not have been sent"))
        })
    }

    async fn wake(&mut self) -> Wake {
        let for_people = self.look.is_for_people();
        let reading = self.ended.is_none() && self.has_room() && self.lines.len() < IN_FLIGHT;
        let Chat { client, link, input, ended, transfers, .. } = self;
        let quiet = match link {
            Link::Up(connection) => Some(connection.deadline()),
            Link::Down(_) => None,
        };
        let leaving = ended.filter(|_| for_people).map(|ended| ended + LEAVING);
        let interrupted = async {
            input.interrupted().await;
            Wake::Interrupted
        };
        let line = async { if reading { Wake::Line(input.next().await) } else { future::pending().await } };
        let link = async {
            match link {
                Link::Up(connection) => Wake::Passed(connection.pass(client).await),
                Link::Down(attempt) => Wake::Connected(attempt.await),
            }
        };
        let time = async {
            match quiet.into_iter().chain(leaving).chain(transfers.paused()).min() {
                Some(at) => Timer::at(at).await,
                None => future::pending().await,
            };
            Wake::Time
        };
        future::race(future::race(line, link), future::or(interrupted, time)).await
    }

    /// Whether there may be more requests now.
    fn has_room(&self) -> bool {
        self.client.unanswered() < IN_FLIGHT && !self.transfers.is_full()
    }

    fn look_at_the_clock(&mut self) -> Result<(), String> {
        let Link::Up(connection) = &mut self.link else { return Ok(()) };
        match connection.is_quiet() {
            Ok(true) => self.ask(Asked::Ping, |client| client.request(&Request::Ping)),
            Ok(false) => {}
            Err(lost) => self.lose(&lost.to_string())?,
        }
        Ok(())
    }

    /// Gives the connection up, if there still is one.
    fn lose(&mut self, why: &str) -> Result<(), String> {
        if matches!(self.link, Link::Down(_)) {
            return Ok(());
        }
        self.client.disconnected();
        self.transfers.disconnected();
        if self.client.is_finished() { Ok(()) } else { self.reconnect(why) }
    }

    fn reconnect(&mut self, why: &str) -> Result<(), String> {
        self.failures += 1;
        if self.failures > ATTEMPTS && !self.look.is_for_people() {
            let lost = self.client.unanswered();
            return Err(format!("connection lost ({why}); gave up with {lost} requests unanswered"));
        }
        let delay = self.backoff.next_delay();
        if self.failures == 1 {
            let seconds = delay.div_ceil(1000);
            self.screen.notice(&format!("connection lost ({why}); trying again in {seconds} s"));
        }
        self.link = Link::Down(attempt(self.server, Duration::from_millis(delay)));
        Ok(())
    }

    fn take_events(&mut self) -> Result<(), String> {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::LoggedIn { .. } => {
                    self.backoff.reset();
                    self.transfers.connected();
                    if std::mem::take(&mut self.failures) > 0 {
                        self.notice("connected again")?;
                    }
                }
                Event::LoginFailed { response } if response.is_temporary() => {
                    self.lose(&reason(&response))?
                }
                Event::LoginFailed { response } => {
                    return Err(format!("cannot log in again: {}", reason(&response)));
                }
                Event::Response { response, .. } => self.take_response(&response)?,
                Event::Message(message) => {
                    self.page.push_str(&self.look.message(&message));
                    self.transfers.learn(&message);
                    self.shown = message.id;
                }
                Event::Gap { count } => {
                    self.notice(&format!(
                        "{count} messages are lost: there were more than your mailbox holds"
                    ))?;
                }
                Event::Closing => self.notice("the server is stopping")?,
                Event::SubscribeFailed { response } => {
                    self.notice(&format!("the server sends no messages: {}", reason(&response)))?;
                }
                _ => {}
            }
        }
        self.flush()
    }

    fn take_response(&mut self, response: &Response) -> Result<(), String> {
        let asked = self.asked.pop_front().expect("every request is noted");
        if asked == Asked::Part {
            return self.take_part(response);
        }
        if matches!(asked, Asked::History(_) | Asked::Name(..)) {
            response.messages().iter().flatten().for_each(|message| self.transfers.learn(message));
        }
        if let Asked::Name(id, path) = asked {
            self.get(&id, path.as_deref());
            return Ok(());
        }
        // Who wants to be in a group and is in it has what they want.
        let is_member = matches!(asked, Asked::Join(_)) && response.code() == Some(Code::AlreadyMember);
        let turns_to = asked.turns_to();
        let is_turn = turns_to.is_some();
        if response.is_ok() || is_member {
            self.conversation = turns_to.or(self.conversation.take());
            if let Asked::History(with) = &asked {
                let page = self.look.history(with, response);
                self.page.push_str(&page);
            } else if let Some(answer) = asked.done(response) {
                self.page.push_str(&answer);
                self.page.push('\n');
            }
        } else if asked != Asked::Ping {
            self.flush()?;
            self.complain(&asked.failed(response));
            if is_turn {
                self.stay();
            }
        }
        self.turning -= usize::from(is_turn);
        if is_turn && self.turning == 0 {
            self.flush()?;
            self.take_lines()?;
            self.prompt();
        }
        Ok(())
    }

    fn take_part(&mut self, response: &Response) -> Result<(), String> {
        match self.transfers.answered(response) {
            News::Progress(line) if self.look.is_for_people() => self.notice(&line)?,
            News::Nothing | News::Progress(_) => {}
            News::Done(line) => {
                self.page.push_str(&line);
                self.page.push('\n');
            }
            News::Failed(why) => {
                self.flush()?;
                self.complain(&why);
            }
        }
        Ok(())
    }

    fn stop_files(&mut self) -> Result<(), String> {
        match self.transfers.stop() {
            Some(line) => self.notice(&line),
            // The last has come through in the meantime.
            None => Ok(()),
        }
    }

    /// Makes the next request for the files that are on their way, if it is time for one.
    fn transfer(&mut self) {
        while let Some(line) = self.transfers.next_line() {
            let line = line.and_then(|line| {
                let made = self.client.request_line(&line);
                made.map_err(|error| self.transfers.give_up(&error.to_string()))
            });
            match line {
                Ok(_) => self.asked.push_back(Asked::Part),
                Err(why) => self.complain(&why),
            }
        }
    }

    fn forget_group(&mut self, left: &str) {
        if matches!(&self.conversation, Some(Conversation::Group(group)) if group == left) {
            self.conversation = None;
        }
    }

    /// Confirms what was shown, all at once, but one ACK at a time.
    fn confirm(&mut self) {
        let under_way = self.asked.iter().any(|asked| matches!(asked, Asked::Confirm(_)));
        if self.shown > self.confirmed && !under_way {
            let id = self.shown;
            self.confirmed = id;
            self.ask(Asked::Confirm(id), |client| client.request(&Request::Ack { id }));
        }
    }

    fn complain(&mut self, why: &str) {
        self.refused = true;
        self.screen.notice(why);
    }

    fn notice(&mut self, line: &str) -> Result<(), String> {
        self.flush()?;
        self.screen.notice(line);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), String> {
        if self.page.is_empty() {
            return Ok(());
        }
        self.screen.print(&std::mem::take(&mut self.page))
    }

    fn prompt(&self) {
        if self.ended.is_none() {
            match &self.conversation {
                _ if self.turning > 0 => self.input.prompt("> ".to_owned(), TURNING),
                Some(to) => self.input.prompt(format!("to {}> ", named(to)), Duration::ZERO),
                None => self.input.prompt("> ".to_owned(), Duration::ZERO),
            }
        }
    }
}
