// Says when schedules are due, as the library that CronJob uses says it. Reads lines of JSON from standard input: a zone
// with its data, {"zone": NAME, "data": BASE64}, or a question, {"schedule": TEXT, "zone": NAME, "after": [SECONDS...],
// "count": N}. Prints for each question one line of JSON: for each start the seconds of the next N times, fewer where there
// are no more, or {"error": TEXT} where the schedule cannot be read.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/robfig/cron/v3"
)

type line struct {
	Zone     string  `json:"zone"`
	Data     []byte  `json:"data"`
	Schedule string  `json:"schedule"`
	After    []int64 `json:"after"`
	Count    int     `json:"count"`
}

func main() {
	zones := map[string]*time.Location{}
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	buffered := bufio.NewWriter(os.Stdout)
	defer buffered.Flush()
	out := json.NewEncoder(buffered)
	for in.More() {
		var read line
		if err := in.Decode(&read); err != nil {
			fail(err)
		}
		if read.Data != nil {
			zone, err := time.LoadLocationFromTZData(read.Zone, read.Data)
			if err != nil {
				fail(err)
			}
			zones[read.Zone] = zone
			continue
		}
		if err := out.Encode(answer(read, zones[read.Zone])); err != nil {
			fail(err)
		}
	}
}

// Each start is given in the zone, so that the schedule is read in it.
func answer(question line, zone *time.Location) any {
	schedule, err := cron.ParseStandard(question.Schedule)
	if err != nil {
		return map[string]string{"error": err.Error()}
	}
	all := make([][]int64, 0, len(question.After))
	for _, after := range question.After {
		times := []int64{}
		for at := time.Unix(after, 0).In(zone); len(times) < question.Count; {
			at = schedule.Next(at)
			if at.IsZero() {
				break
			}
			times = append(times, at.Unix())
		}
		all = append(all, times)
	}
	return all
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
