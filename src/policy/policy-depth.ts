// How deep a policy's expressions nest, before Cedar sees it. Cedar recurses: past some hundred levels it overruns the stack of
// its WebAssembly memory and stays broken, so that one such file, or one candidate, would end every later decision of the
// process. Seen with 400 terms in a row, 200 parentheses or 100 nested sets; never below 128 as counted here.

export const maxPolicyDepth = 128

interface Level {
  operators: number
  /** The deepest of the brackets inside. */
  inner: number
  /** Members and calls in a row, as `a.b.c`; they nest in one another. */
  run: number
  longestRun: number
}

// A set nests in Cedar's own forms about four times as deep as it is written.
const bracketCost = 4
const tokens =
  /\/\/[^\r\n]*|"(?:\\[\s\S]|[^"\\])*"?|\|\||&&|[()[\]{}]|[.+\-*;,]|\b(?:when|unless|if|then|else|has|like|in|is)\b|==|[!=<>]=?|[^\s]/g
const opening = new Set(['(', '[', '{'])
const closing = new Set([')', ']', '}'])
const binary = new Set(['||', '&&', '+', '-', '*', '!', 'if', 'else', 'when', 'unless'])

/** An upper bound of the nesting of one policy's text. */
export function depthOf(text: string): number {
  let level: Level = { operators: 0, inner: 0, run: 0, longestRun: 0 }
  const outer: Level[] = []
  for (const [token] of text.matchAll(tokens)) {
    if (opening.has(token)) {
      extendRun(level)
      outer.push(level)
      level = { operators: 0, inner: 0, run: 0, longestRun: 0 }
    } else if (closing.has(token)) {
      const depth = costOf(level) + bracketCost
      level = outer.pop() ?? level
      level.inner = Math.max(level.inner, depth)
    } else if (token === '.') extendRun(level)
    else if (binary.has(token)) {
      level.operators++
      level.run = 0
    } else if (token === ',') level.run = 0
  }
  // Brackets that nobody closed are Cedar's to refuse, which must come so far unharmed.
  return outer.reduceRight((depth, one) => Math.max(costOf(one), one.operators + one.longestRun + depth), costOf(level))
}

function extendRun(level: Level): void {
  level.run++
  level.longestRun = Math.max(level.longestRun, level.run)
}

function costOf({ operators, inner, longestRun }: Level): number {
  return operators + longestRun + inner
}
