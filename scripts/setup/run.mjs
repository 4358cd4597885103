/** Running tools so that a person sees that they live, and saying things on stderr. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { root } from './project.mjs'

const heartbeatMs = 4_000
/** Of a failing tool's output, what is kept: the cause stands at either end. */
const headLines = 12
const tailLines = 30

/** What went wrong in a tool, with the end of what it said. */
export class ToolError extends Error {
  constructor(label, outcome, output) {
    super(`${label} ${outcome}`)
    this.output = output
  }
}

/** One line for people. Always stderr: stdout belongs to the program that the set-up is for. */
export function say(line) {
  process.stderr.write(`set-up: ${line}\n`)
}

/** Whether an executable of that name is on the PATH. */
export function onPath(name) {
  const extensions = process.platform === 'win32' ? ['.exe', '.cmd', '.bat'] : ['']
  return (process.env.PATH ?? '')
    .split(delimiter)
    .some(
      (folder) => folder !== '' && extensions.some((extension) => existsSync(join(folder, name + extension))),
    )
}

/** Seconds since `start` (a `performance.now()`), for people. */
export function seconds(start) {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`
}

/**
 * Runs a tool to its end. Its output is kept back; every few seconds a line says how long it has been at work and
 * what it said last.
 *
 * @param label what is being done, for people: `npm packages`
 * @returns the exit code, and the output's first and last lines
 * @throws {ToolError} if it can't be started, is killed, or exits with another code than those in `okCodes`
 */
export function runTool(label, command, args, { env = process.env, okCodes = [0] } = {}) {
  return new Promise((resolve, reject) => {
    const start = performance.now()
    const head = []
    const tail = []
    let isCut = false
    let rest = ''
    const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const take = (chunk) => {
      const lines = (rest + chunk).split(/\r?\n|\r/)
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line.trim() === '') continue
        if (head.length < headLines) head.push(line)
        else tail.push(line)
      }
      if (tail.length > tailLines) {
        tail.splice(0, tail.length - tailLines)
        isCut = true
      }
    }
    child.stdout.setEncoding('utf8').on('data', take)
    child.stderr.setEncoding('utf8').on('data', take)
    const heartbeat = setInterval(() => {
      const last = (tail.at(-1) ?? head.at(-1))?.trim().slice(0, 90)
      say(`  … ${label}, ${seconds(start)}${last === undefined ? '' : `: ${last}`}`)
    }, heartbeatMs)
    child.on('error', (error) => {
      clearInterval(heartbeat)
      reject(new ToolError(label, `can't be started: ${error.message}`, ''))
    })
    child.on('close', (code, signal) => {
      clearInterval(heartbeat)
      if (rest.trim() !== '') tail.push(rest)
      const output = [...head, ...(isCut ? ['…'] : []), ...tail].join('\n')
      if (code !== null && okCodes.includes(code)) resolve({ code, output })
      else
        reject(
          new ToolError(
            label,
            signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`,
            output,
          ),
        )
    })
  })
}

/** How to call npm: the one that called us, else the one beside Node, else the one on the PATH. */
export function npmCommand() {
  const candidates = [
    process.env.npm_execpath,
    join(dirname(process.execPath), 'node_modules/npm/bin/npm-cli.js'),
    join(dirname(process.execPath), '../lib/node_modules/npm/bin/npm-cli.js'),
  ]
  for (const script of candidates) {
    if (script !== undefined && /npm-cli\.[cm]?js$/.test(script) && existsSync(script)) {
      return { command: process.execPath, args: [script] }
    }
  }
  return { command: 'npm', args: [] }
}
