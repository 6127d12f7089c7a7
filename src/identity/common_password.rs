//! Recognises the passwords that everybody tries first. They are not a list: they are made by a few rules, of common
//! words, of runs of keys or letters, and of some digits, and the same rules recognise them.

/// Words of which such passwords are made, in lower case.
const WORDS: &[&str] = &[
    "access",
    "admin",
    "administrator",
    "america",
    "andrew",
    "angel",
    "apple",
    "april",
    "arsenal",
    "ashley",
    "asshole",
    "august",
    "austin",
    "autumn",
    "baby",
    "babygirl",
    "badboy",
    "bailey",
    "banana",
    "barcelona",
    "barney",
    "baseball",
    "basketball",
    "batman",
    "beautiful",
    "bitch",
    "blessed",
    "blink",
    "booboo",
    "boston",
    "brandon",
    "bubbles",
    "buster",
    "butterfly",
    "change",
    "changeme",
    "charlie",
    "cheese",
    "chelsea",
    "chicago",
    "chicken",
    "chocolate",
    "christ",
    "coffee",
    "company",
    "computer",
    "container",
    "cookie",
    "corvette",
    "cowboy",
    "dallas",
    "daniel",
    "david",
    "december",
    "default",
    "diamond",
    "docker",
    "dolphin",
    "donald",
    "dragon",
    "eagles",
    "eminem",
    "facebook",
    "falcon",
    "family",
    "february",
    "ferrari",
    "flower",
    "football",
    "forever",
    "freedom",
    "friday",
    "friends",
    "fuck",
    "fuckyou",
    "george",
    "ginger",
    "golden",
    "golfer",
    "google",
    "guest",
    "guitar",
    "hammer",
    "hannah",
    "happy",
    "harley",
    "heaven",
    "hello",
    "hockey",
    "hunter",
    "iloveyou",
    "inlove",
    "internet",
    "jackson",
    "jasmine",
    "january",
    "jennifer",
    "jessica",
    "jesus",
    "jordan",
    "joshua",
    "july",
    "june",
    "junior",
    "justin",
    "killer",
    "kubernetes",
    "letmein",
    "liverpool",
    "login",
    "london",
    "love",
    "lovely",
    "loveme",
    "lover",
    "loveyou",
    "lucky",
    "maggie",
    "manager",
    "manchester",
    "marina",
    "martin",
    "master",
    "matrix",
    "matthew",
    "maverick",
    "mercedes",
    "merlin",
    "metallica",
    "michael",
    "michelle",
    "mickey",
    "midnight",
    "monday",
    "money",
    "monkey",
    "monster",
    "mother",
    "mustang",
    "myspace",
    "mysql",
    "naruto",
    "nicole",
    "nirvana",
    "november",
    "october",
    "orange",
    "oracle",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "passwort",
    "patrick",
    "peanut",
    "pepper",
    "phoenix",
    "player",
    "please",
    "pokemon",
    "porsche",
    "postgres",
    "prince",
    "princess",
    "private",
    "public",
    "purple",
    "rainbow",
    "ranger",
    "registry",
    "richard",
    "robert",
    "rocket",
    "root",
    "samantha",
    "samsung",
    "saturday",
    "scooter",
    "secret",
    "secure",
    "security",
    "september",
    "server",
    "service",
    "sexy",
    "shadow",
    "shit",
    "silver",
    "slipknot",
    "smile",
    "snoopy",
    "soccer",
    "sophie",
    "spiderman",
    "spring",
    "starwars",
    "steelers",
    "student",
    "summer",
    "sunday",
    "sunshine",
    "superman",
    "superstar",
    "support",
    "sweet",
    "system",
    "taylor",
    "teacher",
    "test",
    "testing",
    "thomas",
    "thunder",
    "thursday",
    "tiger",
    "tigger",
    "trustno",
    "tuesday",
    "user",
    "wednesday",
    "welcome",
    "whatever",
    "wharfinger",
    "william",
    "winner",
    "winter",
    "wizard",
    "word",
    "work",
    "yamaha",
    "yankees",
    "yellow",
    // They join the others.
    "and",
    "for",
    "i",
    "is",
    "it",
    "me",
    "my",
    "new",
    "no",
    "one",
    "our",
    "the",
    "this",
    "to",
    "two",
    "we",
    "you",
    "your",
];

/// Rows of keys, and orders that everybody knows.
const RUNS: &[&str] = &[
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p",
    "qawsedrftgyhujikolp",
    "1a2b3c4d5e6f7g8h9i0j",
    "a1b2c3d4e5f6g7h8i9j0",
    "112233445566778899",
    "aabbccddeeffgghh",
    "147258369",
    "123qweasdzxc456rtyfghvbn",
    "159357456852",
];

/// The most parts of a common password.
const MOST_PARTS: usize = 3;

/// The most digits or other characters that are put before or after a word.
const MOST_FILLER: usize = 4;

/// Whether a password is made by these rules.
pub(super) fn is_common(password: &str) -> bool {
    let lower = password.to_lowercase();
    let chars: Vec<char> = lower.chars().collect();
    // Digits and symbols that stand for letters.
    let plain: Vec<char> = chars.iter().map(|c| letter(*c)).collect();
    has_period(&chars) || is_made_of(&chars, &plain, MOST_PARTS, false)
}

fn letter(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

/// Whether it repeats a few characters, or something that is common by itself.
fn has_period(chars: &[char]) -> bool {
    let repeats = |period: &usize| chars.iter().zip(&chars[*period..]).all(|(a, b)| a == b);
    let period = (1..=chars.len() / 2).find(repeats);
    period.is_some_and(|period| period <= 4 || is_common(&chars[..period].iter().collect::<String>()))
}

/// Whether the characters consist of at most `most` parts. `plain` are the same with letters for digits.
fn is_made_of(chars: &[char], plain: &[char], most: usize, has_part: bool) -> bool {
    if chars.is_empty() {
        return has_part;
    }
    if most == 0 {
        return false;
    }
    let goes_on = |len: usize, is_part: bool| is_made_of(&chars[len..], &plain[len..], most - 1, has_part || is_part);
    let begins =
        |with: &[char], word: &str| word.chars().count() <= with.len() && word.chars().zip(with).all(|(a, b)| a == *b);
    let by_word = || {
        let words = WORDS.iter().filter(|word| begins(chars, word) || begins(plain, word));
        words.into_iter().any(|word| goes_on(word.chars().count(), true))
    };
    let by_run = || (3..=run_length(chars)).rev().any(|len| goes_on(len, true));
    let fillers = chars.iter().take_while(|c| !c.is_alphabetic()).count().min(MOST_FILLER);
    by_word() || by_run() || (1..=fillers).rev().any(|len| goes_on(len, false))
}

/// The length of the longest run that begins here: keys in order or in reverse order, or one character.
fn run_length(chars: &[char]) -> usize {
    let same = chars.iter().take_while(|c| **c == chars[0]).count();
    let in_order = |order: &[char]| {
        (0..order.len())
            .map(|at| order[at..].iter().zip(chars).take_while(|(a, b)| a == b).count())
            .max()
            .unwrap_or_default()
    };
    let runs = RUNS.iter().map(|run| {
        let order: Vec<char> = run.chars().collect();
        let reverse: Vec<char> = run.chars().rev().collect();
        in_order(&order).max(in_order(&reverse))
    });
    runs.max().unwrap_or_default().max(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_that_everybody_tries_are_recognised() {
        for common in [
            "1234567890",
            "0987654321",
            "qwertyuiop",
            "password123",
            "Password1234",
            "P@ssw0rd123",
            "1q2w3e4r5t",
            "1qaz2wsx3edc",
            "qwerty123456",
            "abc123456789",
            "aaaaaaaaaa",
            "abcabcabcabc",
            "iloveyou123",
            "iloveyou!!",
            "letmein2024",
            "welcome2024!",
            "administrator",
            "adminadmin",
            "passwordpassword",
            "123qweasdzxc",
            "changeme123",
            "sunshine2023",
            "trustno1trustno1",
            "princess1234",
            "football2024",
            "myregistry1",
            "123456",
            "dragon",
            "1111111111",
            "147258369147",
            "zxcvbnm123",
            "azertyuiop",
            "docker1234",
            "1234password",
            "",
        ] {
            assert!(is_common(common) || common.is_empty(), "{common}");
        }
    }

    #[test]
    fn others_are_not() {
        for good in [
            "tR4#kq9wLz",
            "correct horse battery staple",
            "blue-kettle-97-river",
            "kX9vQ2mZ7pLw",
            "meinHundBelltLaut",
            "passwordless-tunnel-43x",
            "qwertysomething else",
            "3.14159265358979",
            "ÄpfelUndBirnen",
        ] {
            assert!(!is_common(good), "{good}");
        }
        // The longest input takes no time.
        assert!(!is_common(&format!("{}z9", "iloveyou1234".repeat(5))));
    }
}
