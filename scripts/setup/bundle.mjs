/** What is published: one file for each entry of package.json, and what entries share in a few more. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { filesUnder, root, stat } from './project.mjs'

const folder = 'dist/bundle'

/** By path below the folder: what package.json exports or offers as a command, and the source that it is made of. */
function entries() {
  const { exports, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const outputs = [...Object.values(exports).map((entry) => entry.default), ...Object.values(bin)]
  const named = outputs.filter((path) => path !== undefined).map((path) => path.replace(/^\.\//, ''))
  return new Map(
    named.map((path) => {
      // An entry made otherwise would have its own copy of every class.
      if (!path.startsWith(`${folder}/`))
        throw new Error(`package.json: '${path}' isn't in ${folder}/, where the entry points are built`)
      const name = path.slice(folder.length + 1).replace(/\.js$/, '')
      return [name, join(root, 'lib', `${name}.ts`)]
    }),
  )
}

export const isBundled = () =>
  [...entries().keys()].every((name) => stat(join(root, folder, `${name}.js`)) !== undefined)

/** Names of functions and classes are kept: stack traces and profiles are for people, and source maps lead to the rest. */
const MINIFY = {
  compress: { keepNames: { function: true, class: true } },
  mangle: { keepNames: { function: true, class: true }, toplevel: true },
  codegen: { removeWhitespace: false },
}

/**
 * Hundreds of modules take a process as many times 0.5 ms to import; a handful of files, a fifth of that, most of it for V8's first look at
 * the text: without long names of variables, a sixth less.
 *
 * @returns how many files it made
 */
export async function bundle() {
  const { rolldown } = await import('rolldown')
  rmSync(join(root, folder), { recursive: true, force: true })
  const build = await rolldown({
    cwd: root,
    input: Object.fromEntries(entries()),
    platform: 'node',
    external: /^[a-z][^:]*$/,
    tsconfig: join(root, 'tsconfig.json'),
    transform: { target: 'es2023' },
    treeshake: true,
  })
  try {
    await build.write({
      dir: join(root, folder),
      format: 'esm',
      chunkFileNames: 'shared/[name].js',
      comments: false,
      minify: MINIFY,
      sourcemap: true,
    })
  } finally {
    await build.close()
  }
  return filesUnder(folder, (name) => name.endsWith('.js')).length
}
