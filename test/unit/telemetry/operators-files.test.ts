// The dashboard and the alert rules against the metrics that exist: a panel that shows nothing is worse than none.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { beginCounters, createMetrics } from '../../../src/telemetry/metrics.js'

const { registry } = createMetrics()
const metrics = registry.getMetricsAsArray() as unknown as {
  name: string
  type: string
  labelNames: string[]
}[]

const read = (file: string) => readFileSync(new URL(`../../../config/${file}`, import.meta.url), 'utf8')
const dashboard = JSON.parse(read('grafana/hallpass.json')) as {
  panels: { title: string; targets: { expr: string }[] }[]
  templating: { list: { query: string }[] }
}
const alerts = parse(read('prometheus/alerts.yaml')) as {
  groups: { rules: { alert: string; expr: string; annotations: Record<string, string> }[] }[]
}

const expressions = [
  ...dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ where: title, expr }))),
  ...dashboard.templating.list.map(({ query }) => ({ where: 'a variable', expr: query })),
  ...alerts.groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => ({ where: alert, expr }))),
]

const namesIn = (expr: string) => [...expr.matchAll(/hallpass_[a-z_]+/g)].map((match) => match[0])

function metricOf(name: string) {
  const base = name.replace(/_(bucket|sum|count)$/, '')
  return metrics.find((one) => one.name === name || (one.name === base && one.type === 'histogram'))
}

describe('every expression of the dashboard and the alerts', () => {
  test.each(expressions)('$where: $expr', ({ expr }) => {
    for (const name of namesIn(expr)) expect(metricOf(name)?.name ?? `no metric ${name}`).toBe(metricOf(name)?.name)
    // Labels that are selected or grouped by belong to a metric of the same expression.
    const labels = [
      ...[...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap((match) => (match[1] ?? '').split(',')),
      ...[...expr.matchAll(/([a-z_]+)=~?"/g)].map((match) => match[1] ?? ''),
    ].map((label) => label.trim())
    const known = new Set(['le', ...namesIn(expr).flatMap((name) => metricOf(name)?.labelNames ?? [])])
    for (const label of labels) expect([...known]).toContain(label)
  })

  test('every metric of ours is shown or watched', () => {
    const named = new Set(expressions.flatMap(({ expr }) => namesIn(expr)).map((name) => metricOf(name)?.name))
    const ours = metrics.map(({ name }) => name).filter((name) => name.startsWith('hallpass_'))
    expect(ours.filter((name) => !named.has(name))).toEqual([])
  })

  test('what an alert takes the increase of is there before the first increase', async () => {
    const started = createMetrics()
    beginCounters(started, { providers: ['vault'], issuers: ['ci'] })
    const text = await started.registry.metrics()
    const watched = expressions.flatMap(({ where, expr }) =>
      alerts.groups.some(({ rules }) => rules.some(({ alert }) => alert === where))
        ? [...expr.matchAll(/increase\((\w+)(?:\{(\w+)=~?"([^"]+)"\})?/g)]
        : [],
    )
    expect(watched.length).toBeGreaterThan(3)
    for (const [, name, label, values = ''] of watched) {
      const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`))
      for (const value of values.split('|')) {
        const selected = label === undefined ? lines : lines.filter((line) => line.includes(`${label}="${value}"`))
        expect({ name, value, lines: selected.length > 0 }).toEqual({ name, value, lines: true })
        for (const line of selected) expect(line).toMatch(/ 0$/)
      }
    }
  })

  test('every alert says what to do', () => {
    for (const { rules } of alerts.groups) {
      for (const { annotations } of rules) {
        expect(annotations.summary).toBeTruthy()
        expect(annotations.description).toBeTruthy()
      }
    }
  })
})
