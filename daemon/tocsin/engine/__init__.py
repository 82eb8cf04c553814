"""Rules at work: changes and the passing of time in, transitions out. Pure.

    engine            the face: process, settle, advance, restore, reload        api: what it takes and gives
    runtime           RuleRuntime, what each kind of rule is asked for; Runtimes, whom to ask; RuleHealth, which rules are blind
    state_rule        rules on entities        alert_instance: what both keep, and its states
    trace             what a rule sees of what it is about, and why: for messages, for alerts to keep, for `explain`
    group_rule        rules with `per`         aggregates: who belongs together, and what that comes to
    event_rule        what happens is told     cooldowns and reminders
    sequence_rule     `then`, `unless`         partial_match: what waits for a second event
    absence_rule      `absent`                 what ought to come, and for how long it hasn't
    instances         the keyed store of what all of them keep, with timers and records that say what they are of
    rule_migration    that under other rules: after a restart, after an edit; which rules ran last

    index             which rules a change may concern: RuleSet, and the index that it asks; index_nodes: what that is made of
    history           windows of values; samples: what outlasts a run, events counted, values last known
    pauses            active hours and venues' links: when a rule's time stands still

    rule_schema, rule_keys, compile, language     from a rule as it stands in a file to one that can run (rule)

A change goes through `Engine.process`: the history takes its samples, the rule set finds the rules, their runtimes judge them
and move their instances; each step is a `Transition`, which carries the instance's record.
"""
