//! Sessions with a token: as many as are at work at once, kept for the next work, made anew after the token was reset.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::{Attempt, HsmError};
use crate::configuration::Pkcs11Configuration;
use crate::file_stamp::FileStamp;

/// Idle sessions beyond this many are closed: a token has only so many.
const KEPT: usize = 8;

pub(super) struct Sessions {
    module: Pkcs11,
    token: String,
    pin_file: PathBuf,
    idle: Mutex<Vec<Session>>,
    /// The PIN file whose PIN the token refused.
    refused: Mutex<Option<FileStamp>>,
}

impl Sessions {
    pub(super) fn open(configuration: &Pkcs11Configuration) -> Result<Self, HsmError> {
        let wrong = |error: Error| HsmError::Module {
            module: configuration.module.display().to_string(),
            reason: error.to_string(),
        };
        let module = Pkcs11::new(&configuration.module).map_err(wrong)?;
        initialize(&module).map_err(wrong)?;
        let sessions = Self {
            module,
            token: configuration.token.clone(),
            pin_file: configuration.pin_file.clone(),
            idle: Mutex::default(),
            refused: Mutex::default(),
        };
        sessions.with(|_| Ok(()))?;
        Ok(sessions)
    }

    /// Works with a session. When the token was reset or taken away in between, it is looked for and logged in to once more.
    pub(super) fn with<T>(&self, work: impl Fn(&Session) -> Result<T, Attempt>) -> Result<T, HsmError> {
        let session = match self.idle().pop() {
            Some(session) => session,
            None => self.log_in()?,
        };
        match self.attempt(session, &work) {
            Ok(done) => Ok(done),
            Err(Attempt::Final(error)) => Err(error),
            Err(Attempt::Module(error)) if !is_lost(&error) => Err(HsmError::Call(error.to_string())),
            Err(Attempt::Module(_) | Attempt::LoggedOut) => {
                tracing::warn!("the token was reset; logging in again");
                self.idle().clear();
                match self.attempt(self.log_in()?, &work) {
                    Ok(done) => Ok(done),
                    Err(Attempt::Final(error)) => Err(error),
                    Err(Attempt::Module(error)) => Err(HsmError::Call(error.to_string())),
                    Err(Attempt::LoggedOut) => Err(HsmError::Call("it does not stay logged in".to_owned())),
                }
            }
        }
    }

    fn attempt<T>(&self, session: Session, work: impl Fn(&Session) -> Result<T, Attempt>) -> Result<T, Attempt> {
        let done = work(&session);
        let mut idle = self.idle();
        if !matches!(done, Err(Attempt::Module(_) | Attempt::LoggedOut)) && idle.len() < KEPT {
            idle.push(session);
        }
        done
    }

    fn log_in(&self) -> Result<Session, HsmError> {
        let call = |error: Error| HsmError::Call(error.to_string());
        let pin_file = FileStamp::of(&self.pin_file);
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if pin_file.is_some() && *refused == pin_file {
            return Err(HsmError::Pin(
                "it was refused before, and is not tried again until the file changes".to_owned(),
            ));
        }
        initialize(&self.module).map_err(call)?;
        let session = self.module.open_ro_session(self.slot()?).map_err(call)?;
        match session.login(UserType::User, Some(&self.pin()?)) {
            // One login counts for all of a program's sessions with the token.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error @ Error::Pkcs11(refusal, _)) if is_about_the_pin(&refusal) => {
                *refused = pin_file;
                Err(HsmError::Pin(error.to_string()))
            }
            Err(error) => Err(call(error)),
        }
    }

    /// Slots are numbered anew when a token is reset, so the label names the token.
    fn slot(&self) -> Result<Slot, HsmError> {
        let call = |error: Error| HsmError::Call(error.to_string());
        for slot in self.module.get_slots_with_token().map_err(call)? {
            if self.module.get_token_info(slot).map_err(call)?.label() == self.token {
                return Ok(slot);
            }
        }
        Err(HsmError::NoToken(self.token.clone()))
    }

    /// Read at each login: a PIN that was changed on the token is changed in the file, without a restart.
    fn pin(&self) -> Result<AuthPin, HsmError> {
        let text = std::fs::read_to_string(&self.pin_file)
            .map_err(|error| HsmError::PinFile(format!("{}: {error}", self.pin_file.display())))?;
        let text = Zeroizing::new(text);
        Ok(AuthPin::new(text.trim_end_matches(['\r', '\n']).into()))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A library is started once a process, by whoever comes first.
fn initialize(module: &Pkcs11) -> Result<(), Error> {
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        started => started,
    }
}

/// Whether the session is lost, and with it what it knew: another one may do the work.
fn is_lost(error: &Error) -> bool {
    use RvError::{
        CryptokiNotInitialized, DeviceError, DeviceRemoved, KeyHandleInvalid, ObjectHandleInvalid, SessionClosed,
        SessionHandleInvalid, TokenNotPresent, TokenNotRecognized, UserNotLoggedIn,
    };
    matches!(
        error,
        Error::Pkcs11(
            CryptokiNotInitialized
                | DeviceError
                | DeviceRemoved
                | KeyHandleInvalid
                | ObjectHandleInvalid
                | SessionClosed
                | SessionHandleInvalid
                | TokenNotPresent
                | TokenNotRecognized
                | UserNotLoggedIn,
            _
        )
    )
}

fn is_about_the_pin(refusal: &RvError) -> bool {
    use RvError::{PinExpired, PinIncorrect, PinInvalid, PinLenRange, PinLocked, UserPinNotInitialized};
    matches!(refusal, PinExpired | PinIncorrect | PinInvalid | PinLenRange | PinLocked | UserPinNotInitialized)
}
