//! The shapes that are known of each topic, and which of them a line is tried against first.
//!
//! The one that came behind the last line's shape the last time is tried first: BEGIN and END take turns. Where it does not
//! fit, the next one is tried from the first cut on in which the two differ, so that a wrong guess costs little.
//!
//! A log may have other shapes on every line. Few are kept, and the more were learnt in vain the fewer are: see
//! [`Topic::may_learn`].

use super::{Filling, Shape};

/// The shapes kept of a topic. A table has one for each of snapshot, change, delete and tombstone; a restart of the connector
/// brings another name for its run, and so another of each.
const SHAPES_MAX: usize = 8;

/// The shapes that may be learnt of a topic whatever becomes of them.
const LEARNT_FREELY: u64 = 64;

/// The lines that must have fitted for each further shape.
const FITTED_FOR_ONE: u64 = 64;

/// The same of lines that fitted no shape: what cannot be learnt now may be over later.
const MISSED_FOR_ONE: u64 = 4_096;

/// Shapes by topic, each with what it means.
pub(crate) struct Shapes<T, M> {
    topics: Vec<Topic<T, M>>,
    /// Topic and shape of the last line.
    last: Option<Place>,
    fillings: Vec<Filling>,
}

type Place = (usize, usize);

struct Topic<T, M> {
    name: T,
    shapes: Vec<Known<M>>,
    learnt: u64,
    fitted: u64,
    /// Lines that fitted no shape.
    missed: u64,
}

struct Known<M> {
    shape: Shape,
    meaning: M,
    /// How many cuts it shares with each shape of the topic.
    shared: [usize; SHAPES_MAX],
    /// What [`Topic::fitted`] was when a line last fitted.
    used: u64,
    /// What came behind it the last time.
    next: Option<Place>,
}

impl<T: PartialEq, M> Shapes<T, M> {
    pub(crate) fn new() -> Shapes<T, M> {
        Shapes { topics: Vec::new(), last: None, fillings: Vec::new() }
    }

    /// What the shape of the line means, and what fills its holes; `None` if no known shape fits.
    pub(crate) fn fit(&mut self, line: &[u8]) -> Option<(&M, &[Filling])> {
        let last = self.last.and_then(|(topic, shape)| self.topics.get(topic)?.shapes.get(shape));
        let guess = last.and_then(|last| last.next).or(self.last).unwrap_or_default();
        let first = guess.0.min(self.topics.len());
        let mut topics = std::iter::once(first).chain(0..first).chain(first + 1..self.topics.len());
        let fillings = &mut self.fillings;
        let place = topics.find_map(|at| {
            let start = if at == guess.0 { guess.1 } else { 0 };
            self.topics.get(at)?.fit(line, start, fillings).map(|shape| (at, shape))
        })?;
        if let Some(last) = self.last.and_then(|(topic, shape)| self.topics.get_mut(topic)?.shapes.get_mut(shape)) {
            last.next = Some(place);
        }
        self.last = Some(place);
        let topic = self.topics.get_mut(place.0)?;
        topic.fitted += 1;
        let known = topic.shapes.get_mut(place.1)?;
        known.used = topic.fitted;
        Some((&known.meaning, &self.fillings))
    }

    /// Learns a shape of the topic called `name` if it may learn one more. It takes the place of the one that fitted no line
    /// for the longest time.
    pub(crate) fn learn(&mut self, name: T, learn: impl FnOnce() -> Option<(Shape, M)>) {
        let at = self.topics.iter().position(|topic| topic.name == name).unwrap_or_else(|| {
            self.topics.push(Topic { name, shapes: Vec::new(), learnt: 0, fitted: 0, missed: 0 });
            self.topics.len() - 1
        });
        let Some(topic) = self.topics.get_mut(at) else { return };
        topic.missed += 1;
        if !topic.may_learn() {
            return;
        }
        topic.learnt += 1;
        if let Some((shape, meaning)) = learn() {
            topic.keep(shape, meaning);
        }
    }
}

impl<T, M> Topic<T, M> {
    /// Trying to learn costs about as much as reading the line, so lines that cannot be learnt count too.
    fn may_learn(&self) -> bool {
        self.learnt < LEARNT_FREELY + self.fitted / FITTED_FOR_ONE + self.missed / MISSED_FOR_ONE
    }

    /// The shape that fits, tried from `first` on.
    fn fit(&self, line: &[u8], first: usize, fillings: &mut Vec<Filling>) -> Option<usize> {
        let first = first.min(self.shapes.len());
        let mut from = [0; SHAPES_MAX];
        let mut order = std::iter::once(first).chain(0..first).chain(first + 1..self.shapes.len());
        order.find(|&at| {
            let Some(known) = self.shapes.get(at) else { return false };
            let shared = from.get(at).copied().unwrap_or_default();
            match known.shape.fit(line, shared, fillings) {
                Ok(()) => true,
                Err(failed) => {
                    from = known.shared.map(|shared| shared.min(failed));
                    false
                }
            }
        })
    }

    fn keep(&mut self, shape: Shape, meaning: M) {
        let at = if self.shapes.len() < SHAPES_MAX {
            self.shapes.len()
        } else {
            let oldest = self.shapes.iter().enumerate().min_by_key(|(_, known)| known.used);
            oldest.map_or(0, |(at, _)| at)
        };
        let mut shared = [0; SHAPES_MAX];
        for ((other, known), mine) in self.shapes.iter_mut().enumerate().zip(&mut shared) {
            *mine = if other == at { 0 } else { shape.shared(&known.shape) };
            if let Some(its) = known.shared.get_mut(at) {
                *its = *mine;
            }
        }
        let known = Known { shape, meaning, shared, used: self.fitted, next: None };
        match self.shapes.get_mut(at) {
            Some(oldest) => *oldest = known,
            None => self.shapes.push(known),
        }
    }
}
