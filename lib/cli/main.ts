#!/usr/bin/env node
/** The `libbpf-node` command. */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { BpfError } from '../errors.js'
import { featuresCommand } from './features.js'
import { inspectCommand } from './inspect.js'
import { btfCommand, cgroupCommand, linkCommand, mapCommand, netCommand } from './lists.js'
import { privilegesCommand } from './privileges.js'
import { progCommand } from './prog.js'
import { runCommand } from './run.js'
import { verifyCommand } from './verify.js'

const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  readonly version: string
}

const program = new Command('libbpf-node')
  .description('eBPF: object files, and what is in the kernel')
  .version(version)
  .showHelpAfterError()
  .addCommand(inspectCommand())
  .addCommand(runCommand())
  .addCommand(featuresCommand())
  .addCommand(privilegesCommand())
  .addCommand(progCommand())
  .addCommand(mapCommand())
  .addCommand(linkCommand())
  .addCommand(btfCommand())
  .addCommand(netCommand())
  .addCommand(cgroupCommand())
  .addCommand(verifyCommand())

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof BpfError)) throw error
  process.stderr.write(`libbpf-node: ${error.message}\n`)
  process.exitCode = 1
}
