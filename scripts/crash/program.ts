// The product with somebody standing around every effect of its stories, who writes down each point it passes and ends the
// process, as kill -9 does, at the one that is asked for. Only this program has it: `program.js serve|worker --config FILE`.
// Beside the configuration: `<program>.met` gets a line per point, `<program>.at` names the point to die at.
import { appendFileSync, readFileSync } from 'node:fs'
import { IncomingMessage, ServerResponse } from 'node:http'
import { dirname, join } from 'node:path'
import { runServe, runWorker } from '../../src/bin/programs.js'
import type { Interceptor } from '../../src/broker/interceptor.js'

const [, , program = '', , config = ''] = process.argv
const metFile = join(dirname(config), `${program}.met`)
const atFile = join(dirname(config), `${program}.at`)
Error.stackTraceLimit = 100

/** Marks a point before and after every call of every method: nobody keeps a list of them. */
const stopAround: Interceptor = (name, part) =>
  new Proxy(part, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target)
      if (typeof member !== 'function' || typeof key === 'symbol') return member
      return (...args: unknown[]) => {
        const step = `${storyOf(new Error())} ${name}.${key}${detailOf(args)}`
        dieIfAt(`${step}:before`)
        const result: unknown = Reflect.apply(member, target, args)
        if (result instanceof Promise) return passed(step, result)
        // Of what is no promise only an answer is an effect: the others look something up in memory.
        if (name === 'answers') met(step)
        if (name === 'answers') dieIfAt(`${step}:after`)
        return result
      }
    },
  })

async function passed(step: string, work: Promise<unknown>): Promise<unknown> {
  met(step)
  try {
    return await work
  } finally {
    dieIfAt(`${step}:after`)
  }
}

const met = (step: string) => appendFileSync(metFile, `${step}:before\n${step}:after\n`)

function dieIfAt(point: string): void {
  let wanted = ''
  try {
    wanted = readFileSync(atFile, 'utf8')
  } catch {
    return
  }
  if (wanted === point) process.kill(process.pid, 'SIGKILL')
}

/** Which story this is in, outermost first, by the files on the stack: `exchange>reserve`. */
function storyOf({ stack = '' }: Error): string {
  const frames = [...stack.matchAll(/\/dist\/src\/(broker|http|worker)\/([a-z-]+)\.js/g)].reverse()
  const stories = frames.filter(([, folder]) => folder === 'broker')
  const names = (stories.length > 0 ? stories : frames).map(([, , file = '']) => file)
  return names.filter((file, i) => file !== names[i - 1]).join('>')
}

/** The audit's event, the request that is answered. */
function detailOf([first]: readonly unknown[]): string {
  if (first instanceof ServerResponse && first.req instanceof IncomingMessage) {
    const path = first.req.url?.replace(/\?.*/, '').replace(/\/(task|lease|rev)_[0-9a-z]+/g, '/{id}')
    return `(${first.req.method} ${path})`
  }
  if (typeof first === 'object' && first !== null && 'event' in first) return `(${String(first.event)})`
  return ''
}

process.exitCode = await (program === 'serve' ? runServe(config, stopAround) : runWorker(config, stopAround))
