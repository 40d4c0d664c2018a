//! Which lines fit a shape, and which shapes are kept.

use super::*;

/// The shape of `line`, with a hole for each part of it in `holes`.
fn shape(line: &str, holes: &[&str]) -> Shape {
    let hole = |hole: &&str| {
        let start = line.find(hole).unwrap();
        Hole { at: start..start + hole.len(), quoted: false }
    };
    Shape::new(line.as_bytes(), &holes.iter().map(hole).collect::<Vec<_>>())
}

/// What fills the holes, if the line fits.
fn fitted<'l>(shape: &Shape, line: &'l str) -> Option<Vec<&'l str>> {
    let mut fillings = Vec::new();
    shape.fit(line.as_bytes(), 0, &mut fillings).ok()?;
    Some(fillings.iter().map(|filling| std::str::from_utf8(filling.bytes(line.as_bytes())).unwrap()).collect())
}

#[test]
fn a_line_fits_whose_literals_are_the_same() {
    let shape = shape(r#"{"a":1,"b":"x","c":true}"#, &["1", r#""x""#]);
    assert_eq!(
        fitted(&shape, r#"{"a":"long, and {} text","b":null,"c":true}"#),
        Some(vec!["long, and {} text", "null"])
    );
    for line in [
        r#"{"a":1,"b":"x","c":false}"#,
        r#"{"a":1,"b":"x","c":true} "#,
        r#"{"a":1,"b":"x","c":true"#,
        r#"{"a":1,"b":["x"],"c":true}"#,
        r#"{"a":01,"b":"x","c":true}"#,
        r#"{"a":1 ,"b":"x","c":true}"#,
        r#"{"a":1,"b":"x","d":1,"c":true}"#,
        "",
    ] {
        assert_eq!(fitted(&shape, line), None, "{line}");
    }
}

type Known = Shapes<&'static str, String>;

/// Shows a line to `shapes`, which learn it when they do not know it: what the shape that fits means.
fn show(shapes: &mut Known, topic: &'static str, line: &str, holes: &[&str]) -> Option<(String, usize)> {
    if let Some((meaning, fillings)) = shapes.fit(line.as_bytes()) {
        return Some((meaning.clone(), fillings.len()));
    }
    shapes.learn(topic, || Some((shape(line, holes), line.to_owned())));
    None
}

/// GIVEN shapes that share some of their cuts, WHEN lines of them come in any order, THEN each fits its own, with its own
/// fillings.
#[test]
fn a_line_fits_its_own_shape_after_others_did_not() {
    let mut shapes = Known::new();
    let lines = [
        (r#"{"a":1,"b":2,"c":3}"#, vec!["1", "2", "3"]),
        (r#"{"a":1,"b":2,"d":3}"#, vec!["1", "2", "3"]),
        (r#"{"a":1,"b":2}"#, vec!["1", "2"]),
        (r#"{"a":1,"x":2,"c":3}"#, vec!["1", "2", "3"]),
        (r#"{"a":1}"#, vec!["1"]),
    ];
    for (line, holes) in &lines {
        assert_eq!(show(&mut shapes, "topic", line, holes), None);
    }
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..1_000 {
        let (line, holes) = &lines[random.usize(..lines.len())];
        let other = line.replace(":1", r#":"é""#);
        assert_eq!(show(&mut shapes, "topic", &other, holes), Some(((*line).to_owned(), holes.len())));
        let broken = line.replace('}', "]");
        assert!(shapes.fit(broken.as_bytes()).is_none());
    }
}

/// GIVEN a log whose every line has another shape, WHEN it is read, THEN few are learnt, few are kept, and a topic whose
/// lines fit is not hindered.
#[test]
fn a_hostile_log_cannot_teach_for_ever() {
    let (mut shapes, mut learnt) = (Known::new(), 0);
    for number in 0..10_000 {
        let line = format!(r#"{{"{number}":1}}"#);
        assert!(shapes.fit(line.as_bytes()).is_none());
        shapes.learn("hostile", || {
            learnt += 1;
            Some((shape(&line, &[":1"]), line.clone()))
        });
    }
    // What costs something is tried once in some thousand lines in the end: the log may be another one by then.
    assert!((8..=64 + 10_000 / 4_096).contains(&learnt), "{learnt}");
    assert_eq!(show(&mut shapes, "friendly", r#"{"a":1}"#, &["1"]), None);
    for round in 0..100 {
        let line = format!(r#"{{"restart {round}":true}}"#);
        assert_eq!(show(&mut shapes, "friendly", &line, &["true"]), None);
        for _ in 0..200 {
            assert_eq!(show(&mut shapes, "friendly", &line, &["true"]), Some((line.clone(), 1)), "learnt in time");
        }
    }
}
