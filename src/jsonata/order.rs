//! Putting items in order: the order-by step, and the merge sort that `$sort` shares.

use std::cmp::Ordering;

use super::error::Error;
use super::tree::{Node, Operator, sign};
use super::value::{Evaluator, Frame, Res, Tuple, Val};

type Keys<'e> = Vec<Val<'e>>;

impl<'e> Evaluator<'e> {
    /// Items by the values of these terms.
    pub(super) fn sorted(&mut self, terms: &'e [(bool, Node)], input: &Val<'e>, frame: Frame, at: usize) -> Res<'e> {
        let mut keyed = Vec::new();
        let items = input.items();
        for item in items {
            let keys = if items.len() > 1 { self.keys_of(terms, item, frame)? } else { Vec::new() };
            keyed.push((keys, item.clone()));
        }
        let sorted = self.merge_sort(keyed, &mut |this, left, right| this.follows(terms, &left.0, &right.0, at))?;
        if items.len() <= 1 {
            return Ok(input.clone());
        }
        Ok(Val::array(sorted.into_iter().map(|(_, item)| item).collect()))
    }

    pub(super) fn sorted_tuples(
        &mut self,
        terms: &'e [(bool, Node)],
        tuples: Vec<Tuple<'e>>,
        frame: Frame,
        at: usize,
    ) -> Result<Vec<Tuple<'e>>, Error> {
        let mut keyed = Vec::with_capacity(tuples.len());
        for tuple in tuples {
            let inner = self.frame(frame, tuple.bound.clone())?;
            let keys = self.keys_of(terms, &tuple.item, inner)?;
            keyed.push((keys, tuple));
        }
        let sorted = self.merge_sort(keyed, &mut |this, left, right| this.follows(terms, &left.0, &right.0, at))?;
        Ok(sorted.into_iter().map(|(_, tuple)| tuple).collect())
    }

    fn keys_of(&mut self, terms: &'e [(bool, Node)], item: &Val<'e>, frame: Frame) -> Result<Keys<'e>, Error> {
        terms.iter().map(|(_, term)| self.eval(term, item, frame)).collect()
    }

    /// Whether what is left belongs behind what is right.
    fn follows(
        &mut self,
        terms: &'e [(bool, Node)],
        left: &[Val<'e>],
        right: &[Val<'e>],
        at: usize,
    ) -> Result<bool, Error> {
        for ((is_descending, _), (left, right)) in terms.iter().zip(left.iter().zip(right)) {
            self.step()?;
            let order = match (left, right) {
                (Val::Undefined, Val::Undefined) => continue,
                (Val::Undefined, _) => return Ok(true),
                (_, Val::Undefined) => return Ok(false),
                (Val::Num(left), Val::Num(right)) => left.partial_cmp(right).unwrap_or(Ordering::Greater),
                (Val::Str(left), Val::Str(right)) => {
                    self.charge(left.len().min(right.len()) / 16)?;
                    utf16_order(left, right)
                }
                (Val::Num(_) | Val::Str(_), Val::Num(_) | Val::Str(_)) => {
                    let (left, right) = (self.shown(left)?, self.shown(right)?);
                    let message = format!("Type mismatch when comparing values {left} and {right} in order-by clause");
                    return Err(Error::new("T2007", message).at(at));
                }
                _ => {
                    let message = "The expressions within an order-by clause must evaluate to numeric or string values";
                    return Err(Error::new("T2008", message).at(at));
                }
            };
            match if *is_descending { order.reverse() } else { order } {
                Ordering::Equal => {}
                order => return Ok(order == Ordering::Greater),
            }
        }
        Ok(false)
    }

    /// A stable sort by a question that may fail: whether the left one belongs behind the right one.
    pub(super) fn merge_sort<T>(
        &mut self,
        items: Vec<T>,
        follows: &mut dyn FnMut(&mut Self, &T, &T) -> Result<bool, Error>,
    ) -> Result<Vec<T>, Error> {
        if items.len() <= 1 {
            return Ok(items);
        }
        self.charge(items.len())?;
        let mut left = items;
        let right = left.split_off(left.len() / 2);
        let left = self.merge_sort(left, follows)?;
        let right = self.merge_sort(right, follows)?;
        let mut sorted = Vec::with_capacity(left.len() + right.len());
        let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
        while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
            let next = if follows(self, first, second)? { right.next() } else { left.next() };
            sorted.extend(next);
        }
        sorted.extend(left);
        sorted.extend(right);
        Ok(sorted)
    }

    /// `<` and its like.
    pub(super) fn comparison(&mut self, operator: Operator, left: &Val<'e>, right: &Val<'e>) -> Res<'e> {
        let sign = sign(operator);
        let fits = |value: &Val<'e>| matches!(value, Val::Undefined | Val::Num(_) | Val::Str(_));
        if !fits(left) || !fits(right) {
            let message =
                format!("The expressions either side of operator \"{sign}\" must evaluate to numeric or string values");
            return Err(Error::new("T2010", message));
        }
        let order = match (left, right) {
            (Val::Undefined, _) | (_, Val::Undefined) => return Ok(Val::Undefined),
            (Val::Num(left), Val::Num(right)) => left.partial_cmp(right),
            (Val::Str(left), Val::Str(right)) => {
                self.charge(left.len().min(right.len()) / 16)?;
                Some(utf16_order(left, right))
            }
            _ => {
                let (left, right) = (self.shown(left)?, self.shown(right)?);
                let message = format!(
                    "The values {left} and {right} either side of operator \"{sign}\" must be of the same data type"
                );
                return Err(Error::new("T2009", message));
            }
        };
        let Some(order) = order else { return Ok(Val::Bool(false)) };
        Ok(Val::Bool(match operator {
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual => order != Ordering::Greater,
            Operator::Greater => order == Ordering::Greater,
            _ => order != Ordering::Less,
        }))
    }
}

/// Texts are compared by their UTF-16 units.
pub(super) fn utf16_order(left: &str, right: &str) -> Ordering {
    if left.is_ascii() && right.is_ascii() {
        return left.cmp(right);
    }
    left.encode_utf16().cmp(right.encode_utf16())
}
