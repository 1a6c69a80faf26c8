//! From the command line to a client that is logged in, with questions to the person where something is missing.

use std::{
    env,
    io::{self, BufRead, Write},
    time::Duration,
};

use obrolan::{
    Password,
    client::{Client, Event, Login, Response},
    names,
    wire::{Code, Request},
};
use smol::{Timer, future};

use super::show::{escaped, reason};
use crate::{cli::ChatArgs, client::Connection, config::Address};

/// How long a server may take to make an account or to check a password.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that is logged in.
pub(super) struct Entered {
    pub(super) client: Client,
    pub(super) connection: Connection,
    pub(super) user: String,
}

/// A new account's data beside name and password.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    country: String,
    name: String,
}

/// Logs in as the command line says. The error says why not, and what to do.
pub(super) async fn enter(args: &ChatArgs, may_ask: bool) -> Result<Entered, String> {
    let ChatArgs { server, user, password, .. } = args;
    if !may_ask && user.is_none() {
        return Err(format!("who are you? write obrolan chat NAME@{server}"));
    }
    if !may_ask && password.is_none() {
        return Err("no password; give one with --password-file or OBROLAN_PASSWORD".to_owned());
    }
    if user.is_none() || password.is_none() {
        // Nobody should type a password to learn then that there is no server.
        Connection::open(server).await?;
    }
    let (mut user, mut password) = (user.clone(), password.clone());
    let mut register = args.register;
    let mut account = None;
    loop {
        let name = match user.take() {
            Some(user) => user,
            None => ask_name()?,
        };
        let secret = match password.take() {
            Some(password) => password,
            None => ask_password(&name, register)?,
        };
        if register && account.is_none() {
            account = Some(account_of(args, &name, may_ask)?);
        }
        let account = account.as_ref().filter(|_| register);
        let refused = match attempt(server, &name, &secret, account).await? {
            Ok((client, connection)) => return Ok(Entered { client, connection, user: name }),
            Err(refused) => refused,
        };
        let response = match refused {
            Refused::Account(response) | Refused::Login(response) if !may_ask => {
                return Err(reason(&response));
            }
            Refused::Account(response) => match response.code() {
                Some(Code::UserExists | Code::InvalidName) => response,
                Some(Code::WeakPassword) => {
                    user = Some(name);
                    response
                }
                _ => return Err(format!("no account for {}: {}", escaped(&name), reason(&response))),
            },
            Refused::Login(response) if response.code() != Some(Code::BadCredentials) => {
                return Err(format!("cannot log in as {}: {}", escaped(&name), reason(&response)));
            }
            Refused::Login(_) => {
                eprintln!("The server knows no {} with this password.", escaped(&name));
                let answer =
                    ask("Press Enter to try another password, or type r to make an account: ", |_| Ok(()))?;
                register = answer.eq_ignore_ascii_case("r");
                user = Some(name);
                continue;
            }
        };
        eprintln!("{}", reason(&response));
    }
}

/// What the server refused.
enum Refused {
    Account(Response),
    Login(Response),
}

/// Connects, makes the account if there is one to make, and logs in.
async fn attempt(
    server: &Address,
    user: &str,
    password: &Password,
    account: Option<&Account>,
) -> Result<Result<(Client, Connection), Refused>, String> {
    let mut connection = Connection::open(server).await?;
    let mut client = Client::new(Login::nothing());
    client.connected();
    let password = password.expose();
    if let Some(Account { country, name }) = account {
        let register = Request::Register { user, password, country, name };
        client.request(&register).map_err(|error| error.to_string())?;
        if let Event::Response { response, .. } = next(&mut client, &mut connection).await?
            && !response.is_ok()
        {
            return Ok(Err(Refused::Account(response)));
        }
    }
    client.login(Login::password(user, password).map_err(|error| error.to_string())?);
    loop {
        match next(&mut client, &mut connection).await? {
            Event::LoggedIn { .. } => return Ok(Ok((client, connection))),
            Event::LoginFailed { response } => return Ok(Err(Refused::Login(response))),
            _ => {}
        }
    }
}

async fn next(client: &mut Client, connection: &mut Connection) -> Result<Event, String> {
    let event = async {
        loop {
            if let Some(event) = client.poll_event() {
                return Ok(event);
            }
            connection.pass(client).await.map_err(|lost| format!("the connection ended: {lost}"))?;
        }
    };
    let late = async {
        Timer::after(PATIENCE).await;
        Err("the server does not answer; check that its address and port are those of an obrolan server"
            .to_owned())
    };
    future::or(event, late).await
}

/// Asks a question on the terminal, whatever standard output is, until the answer passes the `check`, which says what is
/// wrong with it.
fn ask(question: &str, check: impl Fn(&str) -> Result<(), String>) -> Result<String, String> {
    let failed = |error: io::Error| format!("cannot ask ({error})");
    loop {
        eprint!("{question}");
        io::stderr().flush().map_err(failed)?;
        let mut answer = String::new();
        if io::stdin().lock().read_line(&mut answer).map_err(failed)? == 0 {
            eprintln!();
            return Err("no answer, so nothing was done".to_owned());
        }
        let answer = answer.trim();
        // The server would take it, but nobody means it.
        let checked = if answer.starts_with('/') {
            Err("Commands come after these questions, in the chat; Ctrl-C leaves.".to_owned())
        } else {
            check(answer)
        };
        match checked {
            Ok(()) => return Ok(answer.to_owned()),
            Err(why) => eprintln!("{why}"),
        }
    }
}

fn ask_name() -> Result<String, String> {
    ask("User name: ", |name| {
        let why = "That is no name: names have 1 to 64 bytes, without spaces and \"@\".";
        names::key(name).map(drop).ok_or(why.to_owned())
    })
}

fn ask_password(user: &str, new: bool) -> Result<Password, String> {
    let read = |prompt: &str| {
        rpassword::prompt_password(prompt).map_err(|error| {
            format!("cannot ask for a password ({error}); give one with --password-file or OBROLAN_PASSWORD")
        })
    };
    let user = escaped(user);
    loop {
        let typed = read(&format!("{} for {user}: ", if new { "New password" } else { "Password" }))?;
        match Password::new(&typed).filter(|password| Login::password("x", password.expose()).is_ok()) {
            None => {
                eprintln!("That is no password: it is empty, or has a space or a control character in it.")
            }
            Some(password)
                if !new || Password::new(&read("The same again: ")?).as_ref() == Some(&password) =>
            {
                return Ok(password);
            }
            Some(_) => eprintln!("These were not the same."),
        }
    }
}

fn account_of(args: &ChatArgs, user: &str, may_ask: bool) -> Result<Account, String> {
    let locale =
        ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|name| env::var(name).ok()).unwrap_or_default();
    let given = |given: &Option<String>, what, default: &str, fits: fn(&str) -> bool, most: usize| {
        let question = format!("{what} [{}]: ", escaped(default));
        let check = |answer: &str| match fits(answer) {
            true => Ok(()),
            false => {
                Err(format!("That is too long, or has control characters: it has {most} bytes at most."))
            }
        };
        match given {
            Some(given) => Ok(given.clone()),
            None if !may_ask => Ok(default.to_owned()),
            None => ask(&question, check).map(|answer| match &*answer {
                "" => default.to_owned(),
                _ => answer,
            }),
        }
    };
    let name = given(&args.name, "Name to show", user, names::is_full_name, names::MAX_FULL_NAME)?;
    let country =
        given(&args.country, "Country", country_of(&locale), names::is_country, names::MAX_COUNTRY)?;
    // The protocol takes a country of one word.
    let country = country.split_whitespace().collect::<Vec<_>>().join("-");
    Ok(Account { country, name })
}

/// The country of a locale like `id_ID.UTF-8`; `-` if it names none.
fn country_of(locale: &str) -> &str {
    let country = locale.split_once('_').and_then(|(_, rest)| rest.get(..2));
    country.filter(|country| country.bytes().all(|byte| byte.is_ascii_uppercase())).unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_of_locales() {
        for (locale, country) in
            [("id_ID.UTF-8", "ID"), ("pt_BR", "BR"), ("C.UTF-8", "-"), ("", "-"), ("x_é", "-")]
        {
            assert_eq!(country_of(locale), country, "{locale}");
        }
    }
}
