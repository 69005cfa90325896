------------------------------- MODULE OneActs -------------------------------
(***************************************************************************)
(* Who acts for one cluster: machines that replace each other, renewal     *)
(* with two slots, copies of a machine's disk, fencing. Each step is one   *)
(* transaction of the control plane or one durable write of an agent; an   *)
(* answer is lost by never being taken.                                    *)
(*                                                                         *)
(*   here            in the code                                           *)
(*   Enrol           control/newEpoch.ts, control/epoch.ts letAct          *)
(*   Ask, Take       agent/identity/renew.ts durableAsking, take           *)
(*   Renew           control/renew.ts renew                                *)
(*   Known, Used     control/peer.ts admit: pending becomes current        *)
(*   Refused         control/peer.ts admit, and the agent that hears it    *)
(*   Restart         agent/run.ts: a process id is drawn at start          *)
(*   Copy            somebody runs a copy of a machine's disk              *)
(*   Poll, Late      control/copies.ts takePlace, control/poll.ts          *)
(*                                                                         *)
(* Left out: budgets and proofs (an enrolment just happens), time (a       *)
(* certificate's end and grace), the log's own fork (control/report.ts),   *)
(* what a process had in hand when another one took its place (the cloud's *)
(* tokens are for that), a first poll that is overtaken by its successor's *)
(* (its head is shorter: control/copies.ts noteHead), and the operator's   *)
(* and the owner's word that ends a fencing.                               *)
(***************************************************************************)
EXTENDS Naturals

CONSTANTS Machines, Keys, Lives,  \* how many there are ever; a life is one process of an agent
          Bug                     \* "none", or the name of one that is put in on purpose

VARIABLES epoch, fenced,    \* the epoch that acts, 0 before the first; whether it was fenced for a copy
          slot, keyEpoch,   \* by key: "none" "pending" "current" "old"; the epoch its certificate is of
          process, replaced,\* the newest process that polled, 0 for none; those that another took the place of
          disk, life, past, \* by machine: what is durable; the process that runs, 0 for none; those before it
          stopped, copies,  \* machines whose agent heard that it does not act; that hold a copy
          back,             \* whether one that was replaced or is of another epoch was handed a command
          keys, lives       \* how many were made so far
vars == <<epoch, fenced, slot, keyEpoch, process, replaced, disk, life, past, stopped, copies, back, keys, lives>>

M == 1..Machines
K == 1..Keys
Nothing == [epoch |-> 0, newest |-> 0, asking |-> 0]

Init == /\ epoch = 0 /\ fenced = FALSE /\ process = 0 /\ replaced = {} /\ keys = 0 /\ lives = 0 /\ back = FALSE
        /\ slot = [k \in K |-> "none"] /\ keyEpoch = [k \in K |-> 0]
        /\ disk = [m \in M |-> Nothing] /\ life = [m \in M |-> 0] /\ past = [m \in M |-> {}]
        /\ stopped = {} /\ copies = {}

Alive(m) == life[m] # 0 /\ m \notin stopped
Known(m) == slot[disk[m].newest] \in {"current", "pending"}
OfEpoch(m) == (keyEpoch[disk[m].newest] = epoch /\ ~fenced) \/ Bug = "epoch not compared"
Admitted(m) == Alive(m) /\ Known(m) /\ OfEpoch(m)

\* Another machine, without memory, by a token or a proof of its own.
Enrol(m) == /\ disk[m].epoch = 0 /\ keys < Keys /\ lives < Lives
            /\ keys' = keys + 1 /\ lives' = lives + 1 /\ epoch' = epoch + 1 /\ fenced' = FALSE
            /\ slot' = [slot EXCEPT ![keys + 1] = "current"]
            /\ keyEpoch' = [keyEpoch EXCEPT ![keys + 1] = epoch + 1]
            /\ disk' = [disk EXCEPT ![m] = [epoch |-> epoch + 1, newest |-> keys + 1, asking |-> 0]]
            /\ life' = [life EXCEPT ![m] = lives + 1] /\ process' = 0 /\ replaced' = {}
            /\ UNCHANGED <<past, stopped, copies, back>>

\* The first use of a pending one makes it current, and what was current is old.
Used(k) == IF slot[k] # "pending" THEN slot
           ELSE [j \in K |-> IF j = k THEN "current"
                             ELSE IF keyEpoch[j] = keyEpoch[k] /\ slot[j] = "current" THEN "old" ELSE slot[j]]

\* The key is durable before it is sent: asked again it is the same one, and so is the answer.
Ask(m) == /\ Alive(m) /\ disk[m].asking = 0 /\ keys < Keys /\ keys' = keys + 1
          /\ disk' = [disk EXCEPT ![m].asking = keys + 1]
          /\ UNCHANGED <<epoch, fenced, slot, keyEpoch, process, replaced, life, past, stopped, copies, back, lives>>
Renew(m) == LET used == Used(disk[m].newest) IN
            /\ Admitted(m) /\ disk[m].asking # 0 /\ slot[disk[m].asking] = "none"
            /\ slot' = [j \in K |-> IF j = disk[m].asking THEN "pending"
                                    ELSE IF keyEpoch[j] # disk[m].epoch THEN slot[j]
                                    ELSE IF used[j] = "pending" \/ Bug = "one slot" THEN "old" ELSE used[j]]
            /\ keyEpoch' = [keyEpoch EXCEPT ![disk[m].asking] = disk[m].epoch]
            /\ UNCHANGED <<epoch, fenced, process, replaced, disk, life, past, stopped, copies, back, keys, lives>>
\* The answer came: key and certificate in one file, before the first use.
Take(m) == /\ Alive(m) /\ disk[m].asking # 0 /\ slot[disk[m].asking] # "none"
           /\ disk' = [disk EXCEPT ![m].newest = disk[m].asking, ![m].asking = 0]
           /\ UNCHANGED <<epoch, fenced, slot, keyEpoch, process, replaced, life, past, stopped, copies, back, keys, lives>>

Restart(m) == /\ disk[m].epoch # 0 /\ lives < Lives /\ lives' = lives + 1 /\ m \notin stopped
              /\ life' = [life EXCEPT ![m] = lives + 1] /\ past' = [past EXCEPT ![m] = @ \union {life[m]}]
              /\ UNCHANGED <<epoch, fenced, slot, keyEpoch, process, replaced, disk, stopped, copies, back, keys>>
Copy(m, n) == /\ disk[m].epoch # 0 /\ disk[n].epoch = 0 /\ lives < Lives /\ lives' = lives + 1
              /\ disk' = [disk EXCEPT ![n] = disk[m]] /\ life' = [life EXCEPT ![n] = lives + 1]
              /\ copies' = copies \union {n}
              /\ UNCHANGED <<epoch, fenced, slot, keyEpoch, process, replaced, past, stopped, back, keys>>

\* A newer process takes the older one's place for good; commands go to the newest alone. One that was replaced and speaks again, on a
\* connection made since, is one of two that hold the identity: both are fenced.
Hand(m, one) == /\ process' = one /\ replaced' = replaced \union ({process} \ {0, one})
                /\ back' = (back \/ one \in replaced \/ disk[m].epoch # epoch)
Poll(m) == /\ Admitted(m) /\ slot' = Used(disk[m].newest)
           /\ IF life[m] \in replaced /\ Bug # "not for good"
              THEN fenced' = TRUE /\ stopped' = stopped \union {m} /\ UNCHANGED <<process, replaced, back>>
              ELSE Hand(m, life[m]) /\ UNCHANGED <<fenced, stopped>>
           /\ UNCHANGED <<epoch, keyEpoch, disk, life, past, copies, keys, lives>>
\* A poll of a process that has ended arrives after its successor's, on a connection made before: it says nothing, and nobody hears the answer.
Late(m) == /\ Admitted(m) /\ past[m] \intersect replaced # {}
           /\ fenced' = (fenced \/ Bug = "connection not asked")
           /\ UNCHANGED <<epoch, slot, keyEpoch, process, replaced, disk, life, past, stopped, copies, back, keys, lives>>
Refused(m) == /\ Alive(m) /\ ~(Known(m) /\ OfEpoch(m)) /\ stopped' = stopped \union {m}
              /\ UNCHANGED <<epoch, fenced, slot, keyEpoch, process, replaced, disk, life, past, copies, back, keys, lives>>

Next == \E m \in M : Enrol(m) \/ Ask(m) \/ Renew(m) \/ Take(m) \/ Restart(m) \/ Poll(m) \/ Late(m) \/ Refused(m)
                     \/ \E n \in M : Copy(m, n)
Spec == Init /\ [][Next]_vars

\* Once another process or epoch has been handed something, no earlier one ever is again.
AtMostOneActs == ~back
\* While nobody runs a copy, the agent of the epoch that acts is heard, whatever was lost on the way.
NoHonestAgentIsLockedOut ==
  copies = {} => \A m \in M : disk[m].epoch = epoch /\ epoch # 0 => m \notin stopped /\ Known(m) /\ OfEpoch(m)
=============================================================================
