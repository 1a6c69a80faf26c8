//! What functions say of their parameters.

use std::{
    ffi::{CStr, c_char, c_int},
    mem::size_of,
    ptr,
};

use obrolan::{Config, Peer, Time};
use obrolan_c::{obrolan_result::*, *};

use crate::engine::{Engine, Failure, c_text, checked, out};

const NOW: Time = Time(1_795_424_400_000);

fn default_config() -> obrolan_config {
    // SAFETY: it is as large as its size says.
    out(|out| unsafe { obrolan_config_default(out, size_of::<obrolan_config>()) }).unwrap()
}

/// An engine of a configuration that was changed, freed again.
fn new(change: impl FnOnce(&mut obrolan_config)) -> Result<(), Failure> {
    let mut config = default_config();
    change(&mut config);
    let seed = [7; 32];
    // SAFETY: they are there.
    let engine = out(|out| unsafe { obrolan_engine_new(&raw const config, seed.as_ptr(), NOW.0, out) })?;
    obrolan_engine_free(engine);
    Ok(())
}

fn failure(code: obrolan_result, text: &str) -> Result<(), Failure> {
    Err(Failure { code, text: text.to_owned() })
}

const NOT_UTF8: &CStr = c"caf\xe9";

#[test]
fn what_is_wrong_with_a_configuration_is_told() {
    assert_eq!(new(|_| {}), Ok(()));
    assert_eq!(
        new(|config| config.realm = ptr::null()),
        failure(OBROLAN_ERR_ARGUMENT, "config.realm is NULL")
    );
    assert_eq!(
        new(|config| config.realm = NOT_UTF8.as_ptr()),
        failure(OBROLAN_ERR_UTF8, "config.realm is not UTF-8: incomplete utf-8 byte sequence from index 3")
    );
    assert_eq!(
        new(|config| config.realm = c"no name".as_ptr()),
        failure(
            OBROLAN_ERR_CONFIG,
            "the realm \"no name\" is no name; use 1 to 64 bytes of letters, digits and punctuation, without space or @"
        )
    );
    assert_eq!(
        new(|config| config.mailbox_messages = 0),
        failure(
            OBROLAN_ERR_CONFIG,
            "the limit mailbox_messages is 0, which would let nothing through; 0 never means unlimited: give the \
             number you want"
        )
    );
    assert_eq!(
        new(|config| config.files = 2),
        failure(OBROLAN_ERR_CONFIG, "config.files is 2, which is no obrolan_service")
    );
    assert_eq!(new(|config| config.admins_count = 1), failure(OBROLAN_ERR_ARGUMENT, "config.admins is NULL"));
    let admins = [c"ann".as_ptr(), ptr::null()];
    let with_admins = |count| new(|config| (config.admins, config.admins_count) = (admins.as_ptr(), count));
    assert_eq!(with_admins(1), Ok(()));
    assert_eq!(with_admins(2), failure(OBROLAN_ERR_ARGUMENT, "one of config.admins is NULL"));
    assert_eq!(
        with_admins(usize::MAX),
        failure(
            OBROLAN_ERR_ARGUMENT,
            "config.admins cannot be 18446744073709551615: no memory holds so many"
        )
    );
}

#[test]
fn a_struct_of_another_version_is_told_from_its_size() {
    let own = size_of::<obrolan_config>();
    let newer =
        "it is older than what the program was built with; install the version of its header, or a newer one";
    for size in [0, 8, own - 8, own + 4, own + 8, usize::MAX] {
        let given = new(|config| config.size = size).unwrap_err();
        // SAFETY: nothing is written if the size is not the library's.
        let filled = out::<obrolan_config>(|out| unsafe { obrolan_config_default(out, size) }).map(drop);
        assert_eq!(filled, Err(Failure { code: given.code, text: given.text.clone() }), "size {size}");
        assert_eq!(given.code, OBROLAN_ERR_CONFIG);
        assert_eq!(given.text.contains(newer), size > own, "size {size}: {}", given.text);
    }
    for size in [0, size_of::<obrolan_answer>() + 8] {
        // SAFETY: the same.
        let filled = out::<obrolan_answer>(|out| unsafe { obrolan_answer_init(out, size, 0) });
        assert_eq!(filled.map(drop).unwrap_err().code, OBROLAN_ERR_ARGUMENT);
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    let mut engine = Engine::new(Config::default(), [7; 32], NOW).unwrap();
    let answered = |change: fn(&mut obrolan_answer)| {
        // SAFETY: it is as large as its size says.
        let answer = out(|out| unsafe { obrolan_answer_init(out, size_of::<obrolan_answer>(), 1) });
        let mut answer = answer.unwrap();
        change(&mut answer);
        // SAFETY: they are there.
        checked(unsafe { obrolan_engine_answer(engine.handle(), NOW.0, 1, &raw const answer) })
    };
    let misuse = "no work is asked under this ticket; each is answered once";
    assert_eq!(answered(|_| {}), failure(OBROLAN_ERR_MISUSE, misuse));
    for (number, why) in [(-1, "-1 is no obrolan_answer_type"), (8, "8 is no obrolan_answer_type")] {
        // SAFETY: the same.
        let filled = out(|out| unsafe { obrolan_answer_init(out, size_of::<obrolan_answer>(), number) });
        assert_eq!(filled.map(drop), failure(OBROLAN_ERR_ARGUMENT, why));
    }
    assert_eq!(
        answered(|answer| answer.r#type = 8),
        failure(OBROLAN_ERR_ARGUMENT, "8 is no obrolan_answer_type")
    );
    assert_eq!(answered(|answer| answer.r#type = 2), failure(OBROLAN_ERR_ARGUMENT, "answer.hash is NULL"));
    let messages = |answer: &mut obrolan_answer| (answer.r#type, answer.messages_count) = (4, 1);
    assert_eq!(answered(messages), failure(OBROLAN_ERR_ARGUMENT, "answer.messages is NULL"));
    let bytes = |answer: &mut obrolan_answer| (answer.r#type, answer.bytes.len) = (7, 1);
    assert_eq!(answered(bytes), failure(OBROLAN_ERR_ARGUMENT, "answer.bytes is NULL"));
    assert!(engine.connect(NOW, Peer::Local).is_ok(), "nothing of this has changed it");
}

#[test]
fn passwords_are_hashed_and_verified() {
    let hashed = |password: *const c_char| {
        let mut hash = [1; OBROLAN_PASSWORD_HASH_SIZE];
        // SAFETY: they are there.
        checked(unsafe { obrolan_password_hash(password, [7; 16].as_ptr(), hash.as_mut_ptr()) })?;
        Ok::<_, Failure>(c_text(hash.as_ptr()))
    };
    let verified = |password: *const c_char, hash: *const c_char| {
        // SAFETY: they are there.
        out(|out| unsafe { obrolan_password_verify(password, hash, out) })
    };
    let hash = hashed(c"rahasia".as_ptr()).unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    let hash = std::ffi::CString::new(hash).unwrap();
    assert_eq!(verified(c"rahasia".as_ptr(), hash.as_ptr()), Ok(true));
    assert_eq!(verified(c"rahasia!".as_ptr(), hash.as_ptr()), Ok(false));
    assert_eq!(verified(c"rahasia".as_ptr(), c"rahasia".as_ptr()), Ok(false));
    for no_password in [c"", c"a\x07b"] {
        assert_eq!(hashed(no_password.as_ptr()).unwrap_err().code, OBROLAN_ERR_ARGUMENT);
        assert_eq!(verified(no_password.as_ptr(), hash.as_ptr()).unwrap_err().code, OBROLAN_ERR_ARGUMENT);
    }
    assert_eq!(hashed(NOT_UTF8.as_ptr()).unwrap_err().code, OBROLAN_ERR_UTF8);
    assert_eq!(verified(c"rahasia".as_ptr(), NOT_UTF8.as_ptr()).unwrap_err().code, OBROLAN_ERR_UTF8);
}

#[test]
fn every_code_has_its_words() {
    let texts: Vec<_> = (0..=19).map(|code| c_text(obrolan_strerror(code))).collect();
    let unknown = c_text(obrolan_strerror(20));
    for (at, text) in texts.iter().enumerate() {
        assert!(!text.is_empty() && *text != unknown && !texts[..at].contains(text), "code {at}: {text}");
    }
    assert_eq!(unknown, c_text(obrolan_strerror(c_int::MIN)));
}
