/** Of a tree that a caller may have made as wide as it liked: all at once would keep Redis and the disk from everybody else. */
const atOnce = 200

/** What the work answers for each item, in their order; so many are under way at once. Rejects with the first failure. */
export async function inPages<In, Out>(items: readonly In[], work: (item: In) => Promise<Out>): Promise<Out[]> {
  const answers: Out[] = []
  for (let i = 0; i < items.length; i += atOnce) {
    answers.push(...(await Promise.all(items.slice(i, i + atOnce).map(work))))
  }
  return answers
}
