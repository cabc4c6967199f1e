//! How well something did, in the field's measures: several tasks in a row ([`AccuracyMatrix`], [`Traces`]), rankings,
//! and how sure a number is ([`Interval`], [`paired_t`]). Each names the definition that it follows.

mod continual;
mod ranking;
mod sure;

pub use continual::{AccuracyMatrix, Traces};
pub use ranking::{auc, ndcg_at, precision_at, spearman};
pub use sure::{Interval, PairedTest, paired_t, student_t_below, student_t_quantile, welch, wilcoxon};
