/** Programs that make objects, and keep them in lists and trees: Linux and the fallback's verifier say the same. */
import { compareVerifiers } from '../support/both-verifiers.js'

compareVerifiers('programs that make objects', {
  object: 'local_objects',
  accepted: ['pushes', 'pops', 'drains', 'adds', 'removes', 'keeps'],
  refused: [
    ['forgets', /^BPF_EXIT instruction in main prog would lead to reference leak$/],
    ['pushes_unlocked', /^bpf_spin_lock at off=0 must be held for bpf_list_head$/],
    ['locks_another', /^bpf_spin_lock at off=0 must be held for bpf_list_head$/],
    ['uses_after_unlock', /^R\d invalid mem access 'scalar'$/],
    ['pushes_twice', /^arg#1 expected pointer to allocated object$/],
    ['touches_node', /^direct access to bpf_list_node is disallowed$/],
    ['drops_borrowed', /^R1 must be referenced or trusted$/],
    ['puts_wrong', /^invalid kptr access, R2 type=ptr_errand expected=ptr_wish$/],
  ],
})
