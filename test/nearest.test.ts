import { expect, test } from 'vitest'
import { didYouMean, editDistance, nearest, nearestWords } from '../lib/nearest.js'

test.each([
  ['', '', 0],
  ['abc', '', 3],
  ['kitten', 'sitting', 3],
  ['evnets', 'events', 1],
])('from %j to %j it takes %i edits', (a, b, edits) => {
  expect(editDistance(a, b)).toBe(edits)
  expect(editDistance(b, a)).toBe(edits)
})

test('a typing error finds the word, whatever the case', () => {
  expect(nearest('Evnets', ['counts', 'events'])).toBe('events')
})

test('part of a word finds the word', () => {
  expect(nearest('exec', ['sched_process_fork', 'sched_process_exec'])).toBe('sched_process_exec')
})

test('nothing near finds nothing', () => {
  expect(nearest('zebra', ['events', 'counts'])).toBeUndefined()
  expect(nearest('', ['events'])).toBeUndefined()
})

test('the nearest comes first, and no word twice', () => {
  expect(nearestWords('event', ['eventual', 'events', 'event2', 'events'])).toEqual([
    'events',
    'event2',
    'eventual',
  ])
})

test('a hint names what is near, or else what there is', () => {
  expect(didYouMean('evnts', ['events'])).toBe(`Did you mean 'events'?`)
  expect(didYouMean('zebra', ['events', 'counts'])).toBe('There are: events, counts')
  expect(didYouMean('zebra', [])).toBeUndefined()
})
