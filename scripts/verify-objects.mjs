/**
 * `npm run verify:objects`: both verifiers on objects that others wrote and use: Linux's, on this machine, and the fallback's. Nothing is attached.
 *
 *   node scripts/verify-objects.mjs [FILE | FOLDER …]
 *
 * Files may be objects or tools that carry some. Without any: those of Debian's libbpf-tools, xdp-tools and libxdp1, which are downloaded into
 * .cache/objects and not installed. Needs root. Prints each program of which the two say different things, or whose number of processed
 * instructions differs by more than a tenth; then the counts. The exit code is 0 if no verdict differs.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { filesBelow, objectsIn } from './objects/extract.mjs'
import { read } from './setup/debian.mjs'
import { cacheFolder, root } from './setup/project.mjs'
import { checkUsage } from './setup/usage.mjs'
import { setUp } from './setup.mjs'

const PACKAGES = ['libbpf-tools', 'xdp-tools', 'libxdp1']
const TENTH = 0.1

/** @returns the folder with the packages' files */
function downloaded() {
  const folder = join(cacheFolder, 'objects')
  if (existsSync(folder)) return folder
  const draft = `${folder}.draft`
  rmSync(draft, { recursive: true, force: true })
  mkdirSync(draft, { recursive: true })
  read('apt-get', ['-q', '-o', 'APT::Sandbox::User=', 'download', ...PACKAGES], { cwd: draft })
  for (const file of readdirSync(draft)) read('dpkg', ['-x', join(draft, file), folder])
  rmSync(draft, { recursive: true })
  return folder
}

function* objectsOf(paths) {
  const seen = new Set()
  for (const path of paths.flatMap((one) => (statSync(one).isDirectory() ? [...filesBelow(one)] : [one]))) {
    for (const bytes of objectsIn(path)) {
      const digest = createHash('sha256').update(bytes).digest('hex')
      if (seen.has(digest)) continue
      seen.add(digest)
      yield { name: basename(path), bytes }
    }
  }
}

/** What became of a program: `accepted`, `refused`, or `unseen` by a verifier that never got it. */
function outcome({ accepted, insnsProcessed }) {
  if (accepted) return 'accepted'
  return insnsProcessed === undefined ? 'unseen' : 'refused'
}

/** @returns whether the verdicts differ */
function compare(name, linux, ours, tally) {
  const theirs = outcome(linux)
  const mine = outcome(ours)
  const key = `Linux: ${theirs}, fallback: ${mine}`
  tally.set(key, (tally.get(key) ?? 0) + 1)
  const differs = theirs !== 'unseen' && linux.accepted !== ours.accepted
  if (differs) {
    console.log(`${name}: ${key}\n  Linux:    ${linux.reason ?? '-'}\n  fallback: ${ours.reason ?? '-'}`)
  } else if (linux.accepted && ours.accepted) {
    const ratio = ours.insnsProcessed / linux.insnsProcessed
    if (Math.abs(ratio - 1) <= TENTH) tally.set(WITHIN, (tally.get(WITHIN) ?? 0) + 1)
    else
      console.log(`${name}: ${ours.insnsProcessed} instructions processed, by Linux ${linux.insnsProcessed}`)
  }
  return differs
}

const WITHIN = 'accepted by both, instructions processed within a tenth'

async function main(paths) {
  const { verify, BpfError } = await import(join(root, 'dist/lib/index.js'))
  const tally = new Map()
  let differing = 0
  for (const { name, bytes } of objectsOf(paths.length > 0 ? paths : [downloaded()])) {
    let linux
    let ours
    try {
      linux = verify(bytes, { kernel: 'native' })
      ours = verify(bytes, { kernel: 'fallback' })
    } catch (error) {
      if (!(error instanceof BpfError) || error.code === 'NO_NATIVE_KERNEL') throw error
      console.log(`${name}: ${error.message}`)
      continue
    }
    linux.forEach((verdict, index) => {
      if (compare(`${name}: ${verdict.program}`, verdict, ours[index], tally)) differing++
    })
  }
  console.log()
  for (const [key, count] of [...tally].sort(([, a], [, b]) => b - a))
    console.log(`${String(count).padStart(5)}  ${key}`)
  process.exitCode = differing === 0 ? 0 : 1
}

if (checkUsage(import.meta.url, [])) {
  if (await setUp()) await main(process.argv.slice(2))
  else process.exitCode = 1
}
