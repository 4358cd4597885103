/** Programs with an arena: Linux and the fallback's verifier say the same. What is refused stands in test/verifier/cases/arenas.cases. */
import { compareVerifiers } from '../support/both-verifiers.js'

compareVerifiers('programs with an arena', {
  object: 'arena',
  accepted: ['allocate', 'release', 'make_list', 'sum_list', 'read_at', 'add_at'],
  refused: [],
})
