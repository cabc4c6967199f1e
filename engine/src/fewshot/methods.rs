//! The methods that classify queries, as a table.

use crate::spec::choices;
use crate::text::Text;

choices! {
    /// A method that classifies queries.
    pub enum Method {
        /// Nearest class mean by Euclidean distance.
        Prototype = "prototype", "Nearest prototype";
        /// Nearest class mean by angle.
        CosinePrototype = "cosine", "Nearest prototype, cosine";
        /// Nearest class mean of centred vectors of length 1.
        SimpleShot = "simpleshot", "SimpleShot";
        /// A vote of the nearest support examples.
        Neighbours = "knn", "k nearest neighbours";
        /// A vote of all support examples, weighted by angle.
        Matching = "matching", "Matching networks";
        /// A linear classifier fitted to the support by descent.
        LinearHead = "linear", "Linear head";
        /// A linear classifier fitted to the support in closed form.
        RidgeHead = "ridge", "Ridge head";
        /// Prototypes moved by the queries.
        BdCspn = "bd-cspn", "BD-CSPN";
        /// Clusters that begin at the prototypes.
        KMeans = "k-means", "K-means";
        /// Neighbours agree, about fixed prototypes.
        LaplacianShot = "laplacianshot", "LaplacianShot";
        /// Clusters whose neighbours agree, about means.
        SlkMeans = "slk-means", "SLK-Means";
        /// Clusters whose neighbours agree, about modes.
        SlkMs = "slk-ms", "SLK-MS";
        /// Classes of equal size by optimal transport.
        PtMap = "pt-map", "PT-MAP";
        /// A head that is sure of each query and of no class in particular.
        Tim = "tim", "TIM";
    }
}

/// What is known of a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodRow {
    /// Which.
    pub method: Method,
    /// Where it is from.
    pub paper: &'static str,
    /// Whether it looks at all queries together; if not, at one at a time.
    pub transductive: bool,
    /// What it does, in one line.
    pub line: Text,
    /// The settings that it listens to, by key.
    pub settings: &'static [&'static str],
}

impl Method {
    /// What is known of it.
    #[must_use]
    pub fn row(self) -> &'static MethodRow {
        // The table has a row for every method, in the order of the enum: a test holds it to that.
        &METHODS[self as usize]
    }
}

const GRAPH: &[&str] = &["lambda", "knn", "clamp"];

const fn inductive(
    method: Method,
    paper: &'static str,
    settings: &'static [&'static str],
    line: &'static str,
) -> MethodRow {
    MethodRow { method, paper, transductive: false, line: Text::new(line), settings }
}

const fn transductive(
    method: Method,
    paper: &'static str,
    settings: &'static [&'static str],
    line: &'static str,
) -> MethodRow {
    MethodRow { method, paper, transductive: true, line: Text::new(line), settings }
}

/// Every method, in the order of [`Method::ALL`].
#[rustfmt::skip]
pub const METHODS: &[MethodRow] = &[
    inductive(Method::Prototype, "Snell, Swersky, Zemel 2017", &[], "The class whose mean is nearest."),
    inductive(Method::CosinePrototype, "Chen et al. 2021 (Meta-Baseline)", &[], "The class whose mean points in the most similar direction."),
    inductive(Method::SimpleShot, "Wang et al. 2019", &[], "Vectors lose the mean of the base classes and get length 1; then the nearest mean."),
    inductive(Method::Neighbours, "Cover, Hart 1967", &["neighbours"], "The class that most of the k nearest support examples have."),
    inductive(Method::Matching, "Vinyals et al. 2016", &["temperature"], "Every support example votes, the more the more similar its direction."),
    inductive(Method::LinearHead, "Chen et al. 2019", &["iterations"], "Logistic regression on the support, by gradient descent from the prototypes."),
    inductive(Method::RidgeHead, "Bertinetto et al. 2019", &["ridge"], "Least squares on the support with a penalty on length, solved at once."),
    transductive(Method::BdCspn, "Liu, Song, Qin 2020", &[], "Queries are moved onto the support's mean, then each adds to its nearest prototype."),
    transductive(Method::KMeans, "Ziko et al. 2021", &[], "Prototypes move to the means of what is nearest, until nothing changes class."),
    transductive(Method::LaplacianShot, "Ziko et al. 2020", GRAPH, "Queries that are neighbours pull each other to one class; prototypes stand still."),
    transductive(Method::SlkMeans, "Ziko et al. 2021", GRAPH, "Neighbours agree, and prototypes move to the means of their classes."),
    transductive(Method::SlkMs, "Ziko et al. 2021", GRAPH, "Neighbours agree, and prototypes climb to where their class is densest."),
    transductive(Method::PtMap, "Hu, Gripon, Pateux 2021", &[], "Vectors are made more Gaussian; queries are shared out evenly by optimal transport, again and again."),
    transductive(Method::Tim, "Boudiaf et al. 2020", &["temperature", "iterations"], "A head is trained until each query is sure of its class and the classes are even."),
];
