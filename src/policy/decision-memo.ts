// Answers that Cedar gave, by everything it was given: the same question has the same answer as long as the policies are the
// same, and a pipeline asks the same over and over. What a question consists of is little, since only what some policy of the
// slice reads is in it; so it is found again, too.

export interface DecisionMemo<Answer> {
  /** What was answered to exactly this before, or what `decide` answers now. What is not `isSure` is asked anew each time. */
  answerTo(question: string, decide: () => Answer, isSure: (answer: Answer) => boolean): Answer
}

/** Bounded: callers choose some of what they are asked about, and one who asks ever new things only makes the others slower. */
const maxAnswers = 4_096

/** One for each policy set in force: nothing is carried from one to the next. */
export function createDecisionMemo<Answer>(): DecisionMemo<Answer> {
  const answers = new Map<string, Answer>()
  return {
    answerTo(question, decide, isSure) {
      const known = answers.get(question)
      if (known !== undefined) return known
      const answer = decide()
      if (!isSure(answer)) return answer
      if (answers.size >= maxAnswers) answers.clear()
      answers.set(question, answer)
      return answer
    },
  }
}
