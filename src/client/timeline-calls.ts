// What happened, from the client's side: reporting tool calls, and reading the records.
import type { z } from 'zod'
import { type AuditList, auditList, type auditQuery, type Timeline, timelineAnswer } from '../api/audit.js'
import { type EventsAnswer, type EventsRequest, eventsAnswer } from '../api/events.js'
import type { Caller, Paged, Query, TaskAuth } from './call.js'

export type ToolCalls = EventsRequest['events']
export type AuditSearch = Paged<z.input<typeof auditQuery>>

export interface TimelineCalls {
  /** Says what the task's work did: at most 100 tool calls. They stand on its timeline as claimed, without secrets. */
  reportEvents(taskId: string, events: ToolCalls, auth?: TaskAuth): Promise<EventsAnswer>
  /** The task and all below it as one story; the broker's copy is bounded, and says when it was cut. */
  showTimeline(taskId: string, auth?: TaskAuth): Promise<Timeline>
  /** The newest audit records of all brokers and workers; for operators. */
  listAudit(search?: AuditSearch): Promise<AuditList>
}

export function timelineCalls(call: Caller): TimelineCalls {
  return {
    reportEvents: (taskId: string, events: ToolCalls, auth: TaskAuth = {}) =>
      call({
        method: 'POST',
        path: ['tasks', taskId, 'events'],
        expect: eventsAnswer,
        body: { events },
        taskToken: auth.taskToken,
      }),
    showTimeline: (taskId: string, auth: TaskAuth = {}) =>
      call({ method: 'GET', path: ['tasks', taskId, 'timeline'], expect: timelineAnswer, taskToken: auth.taskToken }),
    listAudit: (search: AuditSearch = {}) =>
      call({ method: 'GET', path: ['audit'], expect: auditList, query: search as Query }),
  }
}
