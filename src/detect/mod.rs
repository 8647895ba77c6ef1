//! `Event<Clean>` → the same and alerts. The stage has its place between guard and privacy; it holds no rule yet.
