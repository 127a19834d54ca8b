//! Where passwords come from: a prompt without echo, a file, or the first line of standard input. Never an argument,
//! never the environment, never a line that history could keep.

#![expect(clippy::disallowed_methods, reason = "--password-file names a file of the user's, outside the data folder")]

use std::io::{self, BufRead, ErrorKind, Write};
use std::path::PathBuf;

use common::ids::SignUpToken;
use common::limits::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN};
use common::secret::Secret;
use common::secure::token;
use crossbeam_channel::{Receiver, bounded, select};
use zeroize::Zeroizing;

use super::signals::Signals;
use super::terminal::Quiet;
use crate::api::{Code, Refusal};

/// The one source of passwords of this run.
pub enum Passwords {
    /// A person at a terminal.
    Asked,
    /// The first line; for `/passwd` the second is the new one, for `--token` the token. Read anew each time.
    File(PathBuf),
    /// Read from standard input at start.
    Given(Secret<String>),
    /// There is none, and nobody to ask.
    Nowhere,
}

/// Why there is no password now.
#[derive(Debug)]
pub enum NoPassword {
    /// Ctrl-C or Ctrl-D at the prompt.
    Cancelled,
    /// The program ends while it asks.
    Ending,
    Refused(Refusal),
}

impl Passwords {
    /// From the flag: a path, or `-` for the first line of standard input, which is read now.
    pub fn from_flag(file: Option<&str>, can_ask: bool, signals: &Signals) -> Result<Self, NoPassword> {
        match file {
            None if can_ask => Ok(Self::Asked),
            None => Ok(Self::Nowhere),
            Some("-") => first_line(signals.came()).map(Self::Given),
            Some(path) => Ok(Self::File(PathBuf::from(path))),
        }
    }

    /// For signing in as `who`. `ending` becomes ready when nobody needs the answer any more.
    pub fn existing(&self, who: &str, signals: &Signals, ending: &Receiver<()>) -> Result<Secret<String>, NoPassword> {
        let password = match self {
            Self::Asked => ask(&format!("Password of {who}: "), signals, ending)?,
            Self::File(_) | Self::Given(_) => self.line(0)?,
            Self::Nowhere => return Err(nowhere()),
        };
        if password.expose().is_empty() {
            return Err(refused("The password is empty."));
        }
        Ok(password)
    }

    /// For signing up: the password, and with `by_token` the token that an operator handed on.
    pub fn newcomer(
        &self,
        who: &str,
        by_token: bool,
        signals: &Signals,
        ending: &Receiver<()>,
    ) -> Result<(Secret<String>, Option<Secret<SignUpToken>>), NoPassword> {
        let password = self.new_account(who, signals, ending)?;
        if !by_token {
            return Ok((password, None));
        }
        let text = match self {
            Self::Asked => ask("Token: ", signals, ending)?,
            _ => self.line(1)?,
        };
        let token = token::parse(text.expose().trim());
        let token = token.ok_or_else(|| NoPassword::Refused(Refusal::new(Code::BadPassword, NO_TOKEN)))?;
        Ok((password, Some(token)))
    }

    /// A new password, twice at a terminal.
    fn new_account(&self, who: &str, signals: &Signals, ending: &Receiver<()>) -> Result<Secret<String>, NoPassword> {
        let password = match self {
            Self::Asked => twice(&format!("New password for {who}: "), signals, ending)?,
            Self::File(_) | Self::Given(_) => self.line(0)?,
            Self::Nowhere => return Err(nowhere()),
        };
        check_new(&password)?;
        Ok(password)
    }

    /// The old and the new one for `/passwd`.
    pub fn change(
        &self,
        signals: &Signals,
        ending: &Receiver<()>,
    ) -> Result<(Secret<String>, Secret<String>), NoPassword> {
        let (old, new) = match self {
            Self::Asked => (ask("Old password: ", signals, ending)?, twice("New password: ", signals, ending)?),
            Self::File(_) | Self::Given(_) => (self.line(0)?, self.line(1)?),
            Self::Nowhere => return Err(nowhere()),
        };
        check_new(&new)?;
        Ok((old, new))
    }

    fn line(&self, number: usize) -> Result<Secret<String>, NoPassword> {
        let path = match self {
            Self::Given(password) if number == 0 => return Ok(password.clone()),
            Self::File(path) => path,
            _ => return Err(refused("A second secret is read from the second line of a file: --password-file FILE.")),
        };
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|error| NoPassword::Refused(unreadable(&shown, &error)))?;
        match text.lines().nth(number) {
            Some(line) => Ok(Secret::new(line.to_owned())),
            None if number == 0 => Err(refused("The password file is empty. Its first line is the password.")),
            None => Err(refused(
                "The password file has no second line. It holds the new password for /passwd, the token for --token.",
            )),
        }
    }
}

fn twice(prompt: &str, signals: &Signals, ending: &Receiver<()>) -> Result<Secret<String>, NoPassword> {
    let first = ask(prompt, signals, ending)?;
    check_new(&first)?;
    let second = ask("The same again: ", signals, ending)?;
    if first.expose() == second.expose() {
        return Ok(first);
    }
    Err(refused("The two passwords differ. Nothing was changed; try again."))
}

/// The first line of standard input, read on a thread of its own for the same reason as below.
fn first_line(ending: &Receiver<()>) -> Result<Secret<String>, NoPassword> {
    let (sender, read) = bounded(1);
    let thread = common::thread::spawn("password", move || {
        let mut line = Zeroizing::new(String::new());
        // The same buffer serves the lines that follow.
        let count = io::stdin().lock().read_line(&mut line);
        let _ = sender.send(count.map(|_| Secret::new(line.trim_end_matches(['\r', '\n']).to_owned())));
    });
    let unread = |error: &io::Error| NoPassword::Refused(unreadable("standard input", error));
    thread.map_err(|error| unread(&error))?.detach();
    select! {
        recv(read) -> line => line.unwrap_or_else(|_| Err(ErrorKind::Interrupted.into())).map_err(|error| unread(&error)),
        recv(ending) -> _ => Err(NoPassword::Ending),
    }
}

/// Asks on a thread of its own: the prompt blocks in a read that nobody can interrupt, and the program must be able
/// to end meanwhile. The terminal's modes are put back by `main`, whoever changed them.
fn ask(prompt: &str, signals: &Signals, ending: &Receiver<()>) -> Result<Secret<String>, NoPassword> {
    let (sender, answer) = bounded(1);
    let prompt = prompt.to_owned();
    signals.prompting(true);
    let _quiet = Quiet::for_password();
    let thread = common::thread::spawn("password", move || {
        let _ = sender.send(rpassword::prompt_password(prompt).map(Secret::new));
    });
    match thread {
        Ok(thread) => thread.detach(),
        Err(error) => return Err(NoPassword::Refused(unreadable("the terminal", &error))),
    }
    let answer = select! {
        recv(answer) -> answer => answer.unwrap_or_else(|_| Err(ErrorKind::Interrupted.into())),
        recv(ending) -> _ => {
            // The prompt ends without its Enter.
            let _ = writeln!(io::stderr());
            return Err(NoPassword::Ending);
        }
    };
    match answer {
        Ok(password) => {
            signals.prompting(false);
            Ok(password)
        }
        // Ctrl-C: its SIGINT may still be on the way, and is not one for the program.
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            signals.prompt_left();
            Err(NoPassword::Cancelled)
        }
        Err(error) => {
            signals.prompting(false);
            match error.kind() {
                ErrorKind::UnexpectedEof => Err(NoPassword::Cancelled),
                _ => Err(NoPassword::Refused(unreadable("the terminal", &error))),
            }
        }
    }
}

fn check_new(password: &Secret<String>) -> Result<(), NoPassword> {
    let text = password.expose();
    if text.chars().count() < PASSWORD_CHARS_MIN {
        return Err(refused(&format!(
            "That password is too short: it needs at least {PASSWORD_CHARS_MIN} characters."
        )));
    }
    if text.len() > PASSWORD_BYTES_MAX {
        return Err(refused(&format!("That password is too long: at most {PASSWORD_BYTES_MAX} bytes.")));
    }
    Ok(())
}

fn nowhere() -> NoPassword {
    refused("There is nobody to ask for the password. Give it with --password-file FILE, in its first line.")
}

fn refused(text: &str) -> NoPassword {
    NoPassword::Refused(Refusal::new(Code::BadPassword, text))
}

fn unreadable(what: &str, error: &io::Error) -> Refusal {
    Refusal::new(Code::BadPassword, &format!("Can't read the password from {what}: {error}."))
}

const NO_TOKEN: &str =
    "That is no token: it has eight groups of four digits or letters from a to f. Ask the operator again.";

#[cfg(test)]
mod tests {
    use super::*;

    fn told(result: Result<Secret<String>, NoPassword>) -> String {
        match result {
            Ok(password) => password.expose().clone(),
            Err(NoPassword::Refused(refusal)) => format!("{}: {}", refusal.code, refusal.text.as_str()),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_holds_the_old_and_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "open sesame\r\nnew sesame\n").unwrap();
        let file = Passwords::from_flag(path.to_str(), true, &Signals::watch().unwrap()).unwrap();
        assert_eq!(told(file.line(0)), "open sesame");
        assert_eq!(told(file.line(1)), "new sesame");
        std::fs::write(&path, "").unwrap();
        assert!(told(file.line(0)).starts_with("bad_password: "));
        let gone = Passwords::File(folder.path().join("gone"));
        assert!(told(gone.line(0)).starts_with("bad_password: Can't read"));
    }

    #[test]
    fn new_passwords_have_a_least_and_a_greatest_length() {
        let check = |text: &str| check_new(&Secret::new(text.to_owned()));
        assert!(check("süßes").is_err());
        assert!(check("süßes!").is_ok());
        assert!(check(&"x".repeat(PASSWORD_BYTES_MAX + 1)).is_err());
    }
}
