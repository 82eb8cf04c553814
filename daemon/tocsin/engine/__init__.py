"""Rules at work: changes and the passing of time in, transitions out. Pure.

    engine            the face: process, settle, advance, restore, reload
    runtime           RuleRuntime, what each kind of rule is asked for; Runtimes, whom to ask
    state_rule        rules on entities        alert_instance, alert_states: what both keep, and its states
    group_rule        rules with `per`         groups, aggregates: who belongs together, and what that comes to
    event_rule        what happens is told     cooldowns and reminders
    sequence_rule     `then`, `unless`         partial_match: what waits for a second event
    instances         the keyed store of what all of them keep, with timers and records that say what they are of
    rule_migration    that under other rules: after a restart, after an edit

    index             which rules a change may concern: RuleSet, and the index that it asks
    history           windows of values; last_known, event_counter, sample_log: what else outlasts a change and a run
    venue_links, active_hours, rule_health    what holds rules up

    written, rule_keys, compile, language     from a rule as it stands in a file to one that can run

A change goes through `Engine.process`: the history takes its samples, the rule set finds the rules, their runtimes judge them
and move their instances; each step is a `Transition`, which carries the instance's record.
"""
