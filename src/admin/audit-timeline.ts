// `hallpass audit timeline TASK`: everything that happened in a task and below it, from gathered folders or from a broker.
import type { StoredRecord } from '../audit/read-records.js'
import { isOrder, OrderMatcher } from '../broker/order-matcher.js'
import type { BrokerClient } from '../client/index.js'
import { readFolders } from './audit-folders.js'
import type { CommandOutput } from './command-output.js'
import { timelineText } from './timeline-text.js'

/** 0; 1 where the files cannot be read or tell nothing of the task. */
export async function showTimelineOfFiles(
  task: string,
  directories: readonly string[],
  output: CommandOutput,
): Promise<number> {
  let records: StoredRecord[]
  try {
    records = await gatherStory(task, directories)
  } catch (error) {
    output.note(`hallpass: the audit cannot be read: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  }
  if (records.length === 0) {
    output.note(`hallpass: there is no record of ${task} in ${directories.join(', ')}`)
    return 1
  }
  const complete = records.some(({ event, task: of }) => event === 'task.opened' && of === task)
  output.print({ task, complete, records }, timelineText(task, records))
  if (!complete)
    output.note(`hallpass: the record that opened ${task} is not in these folders: gather those of all hosts`)
  return 0
}

/** From a running broker's bounded copy. Throws ClientError. */
export async function showTimelineOfBroker(task: string, client: BrokerClient, output: CommandOutput): Promise<number> {
  const timeline = await client.showTimeline(task)
  output.print(timeline, timelineText(task, timeline.records))
  if (!timeline.complete) output.note("hallpass: the broker's copy is not complete; the files have all of it")
  return 0
}

/**
 * Three readings, so that memory is of the story alone and clocks that differ between hosts hide nothing: which tasks there
 * are, what was recorded of them, and what operators ordered of whoever worked in them.
 */
async function gatherStory(root: string, directories: readonly string[]): Promise<StoredRecord[]> {
  const tasks = new Set([root])
  for await (const { event, task, chain } of readFolders(directories)) {
    if (event === 'task.opened' && task !== undefined && Array.isArray(chain) && chain.includes(root)) tasks.add(task)
  }
  const matcher = new OrderMatcher()
  const isOfStory = (record: StoredRecord) => record.task !== undefined && tasks.has(record.task)
  for await (const record of readFolders(directories)) if (isOfStory(record)) matcher.learn(record)
  const story: StoredRecord[] = []
  for await (const record of readFolders(directories)) {
    if (isOfStory(record) || (isOrder(record) && matcher.matches(record))) story.push(record)
  }
  return story
}
